import sys; sys.path.insert(0,'/work/main/tests/browser')
import test_promote_card as t
from playwright.sync_api import expect
def test_saved(browser, lab):
    for trusted in (True, False):
        c=browser.new_context(viewport={"width":1200,"height":900}); page=c.new_page()
        url=lab.notebook("s.ipynb", t.CELL)
        page.goto(url); page.wait_for_function(t.KERNEL_READY,timeout=40000)
        t._command(page,"notebook:run-all-cells"); page.locator(".mlp").wait_for(timeout=20000)
        page.keyboard.press("Control+s"); page.wait_for_timeout(1500)
        page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.shutdown() }"); page.wait_for_timeout(1500)
        page.screenshot(path="/tmp/mlops_shots/lab_shutdown.png")
        c.close()
        if not trusted:
            p=lab.folder/"s.ipynb"; s=p.read_text().replace('"id": "cell-0"','"id": "cell-x"'); p.write_text(s.replace("churn: 4 versions","churn:  4 versions"))
        c=browser.new_context(viewport={"width":1200,"height":900}); page=c.new_page()
        page.add_init_script("")
        page.goto(url); page.wait_for_timeout(9000)
        page.screenshot(path=f"/tmp/mlops_shots/lab_reopened_{'trusted' if trusted else 'untrusted'}.png")
        print(trusted, page.locator(".jp-OutputArea-output").all_inner_texts())
        c.close()
