# ruff: noqa: E501 - a cell on one line is easier to compare with the next
"""Made notebooks, one trap each: cells, the name to slice for, and cells that must not be kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One made notebook; ``out`` lists cells that a good slice leaves out."""

    cells: tuple[str, ...]
    target: str = "m"
    out: tuple[int, ...] = ()


def _case(*cells: str, target: str = "m", out: tuple[int, ...] = ()) -> Case:
    return Case(cells, target, out)


_DATA = (
    "import numpy as np\nimport pandas as pd\nX = np.arange(40.0).reshape(20, 2) % 7\n"
    "y = (X[:, 0] > 2).astype(int)\ndf = pd.DataFrame(X, columns=['a', 'b'])"
)
_LR = "from sklearn.linear_model import LogisticRegression, SGDClassifier, Lasso"

CASES: dict[str, Case] = {
    "straight": _case("x = 1", "y = 2", "m = x + 1", out=(1,)),
    "overwritten": _case("x = 1", "x = 2", "m = x", out=(0,)),
    "rerun_counts_twice": _case("x = 3", "x = x * 2", "x = x * 2", "m = x"),
    "augmented_list": _case("x = [1]", "x += [2]", "m = x"),
    "augmented_number": _case("x = 1", "x += 2", "m = x"),
    "method_mutates": _case("x = [3, 1]", "x.sort()", "x.count(1)", "m = x", out=(2,)),
    "argument_mutates": _case("def f(a):\n    a.append(1)", "x = []", "f(x)", "m = x"),
    "item_store": _case("x = {}", "x['a'] = 1", "m = x"),
    "attribute_store": _case("from types import SimpleNamespace\nx = SimpleNamespace()", "x.a = 1", "m = x"),
    "delete_item": _case("x = {'a': 1, 'b': 2}", "del x['a']", "m = x"),
    "delete_name": _case("len_ = 1\nx = 1", "del x", "try:\n    m = x\nexcept NameError:\n    m = 'none'"),
    "shadowed_builtin": _case("sum = lambda v: 99", "m = sum([1, 2])"),
    "shadow_deleted": _case("sum = lambda v: 99", "del sum", "m = sum([1, 2])"),
    "branch_store": _case("x = 1", "c = True", "if c:\n    x = 2", "m = x"),
    "branch_not_taken": _case("x = 1", "c = False", "if c:\n    x = 2", "m = x"),
    "both_branches": _case("x = 1", "c = True", "if c:\n    x = 2\nelse:\n    x = 3", "m = x", out=(0,)),
    "loop_store": _case("x = 0", "for i in range(3):\n    x = x + i", "m = x"),
    "loop_never": _case("x = 5", "for x in []:\n    pass", "m = x"),
    "while_store": _case("x = 0", "while x < 4:\n    x += 1", "m = x"),
    "try_store": _case("x = 0", "try:\n    x = 1 / 0\nexcept ZeroDivisionError:\n    pass", "m = x"),
    "suppress_store": _case(
        "import contextlib\nx = 0",
        "with contextlib.suppress(ZeroDivisionError):\n    1 / 0\n    x = 1",
        "m = x",
    ),
    "match_store": _case("x = 0", "p = (1, 2)", "match p:\n    case (x, 2):\n        pass", "m = x"),
    "walrus": _case("x = 0", "if (x := 4) > 3:\n    pass", "m = x"),
    "walrus_in_comprehension": _case("x = 0", "_a = [x := v for v in (1, 2)]", "m = x"),
    "unpacking": _case("a, *b = 1, 2, 3", "m = b"),
    "comprehension_reads": _case("K = 3", "m = [K * i for i in range(3)]"),
    "comprehension_variable": _case("i = 8", "v = [i for i in range(3)]", "m = v + [i]"),
    "lambda_reads": _case("K = 3", "f = lambda: K", "m = f()"),
    "function_reads_late": _case("K = 1", "def f():\n    return K", "K = 2", "m = f()", out=()),
    "function_calls_function": _case(
        "K = 1", "def g():\n    return K", "def f():\n    return g()", "m = f()"
    ),
    "function_defined_first": _case("def f():\n    return g()", "def g():\n    return 2", "m = f()"),
    "global_statement": _case("x = 0", "def f():\n    global x\n    x = 5", "f()", "m = x"),
    "function_mutates_global": _case("L = []", "def f():\n    L.append(1)", "f()", "m = L"),
    "closure_state": _case(
        "def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n"
        "    return step",
        "c = counter()",
        "c()",
        "m = c()",
    ),
    "default_argument_state": _case(
        "def f(v, seen=[]):\n    seen.append(v)\n    return list(seen)", "f(1)", "m = f(2)"
    ),
    "default_read_at_definition": _case("K = 1", "def f(v=K):\n    return v", "K = 2", "m = f()"),
    "decorator_registers": _case(
        "R = {}\ndef register(f):\n    R[f.__name__] = f\n    return f",
        "@register\ndef a():\n    return 1",
        "m = R['a']()",
    ),
    "decorator_wraps": _case(
        "import functools\nK = 2\ndef twice(f):\n    @functools.wraps(f)\n    def g():\n        return f() * K\n    return g",
        "@twice\ndef a():\n    return 3",
        "m = a()",
    ),
    "lru_cache": _case(
        "import functools\nK = 2",
        "@functools.lru_cache\ndef f(v):\n    return v * K",
        "f(1)",
        "K = 3",
        "m = (f(1), f(2))",
    ),
    "partial": _case(
        "import functools\nK = 2", "def f(a):\n    return a * K", "p = functools.partial(f, 4)", "m = p()"
    ),
    "class_body_reads": _case("K = 1", "class A:\n    k = K", "m = A.k"),
    "class_method_reads": _case(
        "K = 1", "class A:\n    def f(self):\n        return K", "a = A()", "m = a.f()"
    ),
    "class_attribute_state": _case(
        "class A:\n    n = 0\n    def __init__(self):\n        A.n += 1", "A()", "A()", "m = A.n"
    ),
    "class_patched": _case("class A:\n    k = 1", "A.k = 2", "m = A().k"),
    "instance_method_mutates": _case(
        "class A:\n    def __init__(self):\n        self.v = []\n    def add(self, x):\n        self.v.append(x)",
        "a = A()",
        "a.add(1)",
        "m = a.v",
    ),
    "property_reads_global": _case(
        "K = 4", "class A:\n    @property\n    def k(self):\n        return K", "a = A()", "m = a.k"
    ),
    "inherited_reads": _case(
        "K = 4", "class A:\n    def f(self):\n        return K", "class B(A):\n    pass", "m = B().f()"
    ),
    "generator_eaten": _case("g = (i for i in range(9))", "next(g)", "m = list(g)"),
    "iterator_eaten_by_for": _case(
        "g = iter([1, 2, 3, 4])", "for v in g:\n    if v == 2:\n        break", "m = list(g)"
    ),
    "alias": _case("a = [1]", "b = a", "b.append(2)", "m = a"),
    "alias_in_container": _case("a = [1]", "d = {'k': a}", "d['k'].append(2)", "m = a"),
    "container_sees_alias": _case("a = [1]", "d = {'k': a}", "a.append(2)", "m = d"),
    "numpy_view": _case("import numpy as np\na = np.zeros(5)", "b = a[1:3]", "b[:] = 1", "m = a"),
    "numpy_view_of_view": _case(
        "import numpy as np\na = np.zeros((4, 4))", "b = a.T", "c = b[0]", "c += 1", "m = a"
    ),
    "pandas_item": _case(_DATA, "df.iat[7, 1] += 1e-12", "df.head()", "m = df", out=(2,)),
    "pandas_new_column": _case(
        _DATA, "df['c'] = df['a'] * 2", "df.describe()", "m = df['c'].sum()", out=(2,)
    ),
    "pandas_inplace": _case(_DATA, "df.drop(columns='b', inplace=True)", "m = df"),
    "pandas_text": _case(
        "import pandas as pd\ns = pd.Series(['a', 'b', None] * 700, dtype=object)",
        "s.iloc[2000] = 'z'",
        "s.nunique()",
        "m = s",
        out=(2,),
    ),
    "pandas_lists_within": _case(
        "import pandas as pd\ns = pd.Series([[1], [2]])", "s.iloc[1].append(5)", "m = s"
    ),
    "pandas_category": _case(
        "import pandas as pd\ns = pd.Series(['a', 'b', 'a']).astype('category')",
        "s = s.cat.add_categories(['c'])",
        "s.iloc[0] = 'c'",
        "m = s",
    ),
    "pandas_index": _case(_DATA, "df.index.name = 'row'", "m = df"),
    "polars_frame": _case("import polars as pl\nd = pl.DataFrame({'a': [1, 2]})", "d[0, 'a'] = 9", "m = d"),
    "estimator_fitted": _case(_DATA, _LR, "e = LogisticRegression()", "e.fit(X, y)", "e.predict(X)", "m = e"),
    "estimator_refitted": _case(
        _DATA, _LR, "m = LogisticRegression()", "m.fit(X, y)", "y2 = 1 - y", "m.fit(X, y2)"
    ),
    "estimator_set_params": _case(
        _DATA, _LR, "m = LogisticRegression()", "m.set_params(C=0.1)", "m.fit(X, y)"
    ),
    "estimator_in_pipeline": _case(
        _DATA,
        _LR,
        "from sklearn.pipeline import make_pipeline\ne = LogisticRegression()\np = make_pipeline(e)",
        "p.fit(X, y)",
        "m = e",
    ),
    "estimator_partial_fit": _case(
        _DATA,
        _LR,
        "m = SGDClassifier(random_state=1)",
        "m.partial_fit(X, y, classes=[0, 1])",
        "m.partial_fit(X, y)",
    ),
    "seed_far_away": _case(
        "import numpy as np\nnp.random.seed(3)", "z = 1", "m = np.random.rand(3)", out=(1,)
    ),
    "seed_after_draw": _case(
        "import numpy as np\nnp.random.seed(3)",
        "np.random.rand(2)",
        "np.random.seed(4)",
        "m = np.random.rand(3)",
        out=(1,),
    ),
    "draw_in_between": _case(
        "import numpy as np\nnp.random.seed(3)", "np.random.rand(2)", "m = np.random.rand(3)"
    ),
    "python_seed": _case("import random\nrandom.seed(3)", "random.random()", "m = random.random()"),
    "seeding_function": _case(
        "import random\nimport numpy as np\ndef seed_all(n):\n    random.seed(n)\n    np.random.seed(n)",
        "np.random.rand(2)",
        "seed_all(4)",
        "m = (np.random.rand(3), random.random())",
        out=(1,),
    ),
    "seed_in_branch": _case(
        "import numpy as np\nnp.random.seed(1)",
        "c = False",
        "if c:\n    np.random.seed(3)",
        "m = np.random.rand()",
    ),
    "seed_after_hidden_draw": _case(
        "import numpy as np\nnp.random.seed(1)\ndef draw():\n    return np.random.rand()",
        "q = draw(); np.random.seed(3)",
        "m = (q, np.random.rand())",
    ),
    "seed_none": _case("import numpy as np\nSEED = 5", "np.random.seed(SEED)", "m = np.random.rand()"),
    "hidden_draw_of_fit": _case(
        _DATA + "\nnp.random.seed(2)", _LR, "SGDClassifier().fit(X, y)", "m = SGDClassifier().fit(X, y)"
    ),
    "lasso_draws": _case(_DATA + "\nnp.random.seed(2)", _LR, "Lasso().fit(X, y)", "m = np.random.rand()"),
    "generator_object": _case(
        "import numpy as np\nrng = np.random.default_rng(4)", "rng.normal()", "m = rng.normal()"
    ),
    "shuffle_in_place": _case(
        "import random\nrandom.seed(1)", "x = list(range(9))", "random.shuffle(x)", "m = x"
    ),
    "file_csv": _case(_DATA, "df.to_csv('a.csv')", "import pandas", "m = pandas.read_csv('a.csv')"),
    "file_other_is_left_out": _case(
        _DATA, "df.to_csv('a.csv')", "df.to_csv('b.csv')", "m = pd.read_csv('a.csv')", out=(2,)
    ),
    "file_parquet": _case(_DATA, "df.to_parquet('a.pq')", "m = pd.read_parquet('a.pq')"),
    "file_polars": _case(
        "import polars as pl\nd = pl.DataFrame({'a': [1, 2]})",
        "d.write_csv('a.csv')",
        "m = pl.read_csv('a.csv')",
    ),
    "file_polars_scan": _case(
        "import polars as pl\nd = pl.DataFrame({'a': [1, 2]})",
        "d.write_parquet('a.pq')",
        "m = pl.scan_parquet('a.pq').collect()",
    ),
    "file_duckdb": _case(
        _DATA, "df.to_csv('a.csv')", "import duckdb", "m = duckdb.sql(\"select * from 'a.csv'\").df()"
    ),
    "file_pickle": _case(
        "import pickle\nx = [1]",
        "with open('a.pkl', 'wb') as f:\n    pickle.dump(x, f)",
        "with open('a.pkl', 'rb') as f:\n    m = pickle.load(f)",
    ),
    "file_appended": _case(
        "open('a.txt', 'w').write('1')", "open('a.txt', 'a').write('2')", "m = open('a.txt').read()"
    ),
    "file_by_function": _case(
        _DATA, "def save(d):\n    d.to_parquet('a.pq')", "save(df)", "m = pd.read_parquet('a.pq')"
    ),
    "file_renamed": _case(
        "import os\nopen('a.txt', 'w').write('1')", "os.rename('a.txt', 'b.txt')", "m = open('b.txt').read()"
    ),
    "file_exists": _case(
        "import os\nopen('a.txt', 'w').write('1')", "m = 'yes' if os.path.exists('a.txt') else 'no'"
    ),
    "file_removed": _case(
        "import os\nopen('a.txt', 'w').close()", "os.remove('a.txt')", "m = os.path.exists('a.txt')"
    ),
    "file_in_made_folder": _case(
        "import os\nos.makedirs('deep/er', exist_ok=True)",
        "open('deep/er/a.txt', 'w').write('1')",
        "m = open('deep/er/a.txt').read()",
    ),
    "folder_listed": _case(
        "import os\nos.mkdir('d')", "open('d/a.txt', 'w').close()", "m = sorted(os.listdir('d'))"
    ),
    "file_sqlite": _case(
        "import sqlite3\nc = sqlite3.connect('a.db')\nc.execute('create table t(v)')\n"
        "c.execute('insert into t values (3)')\nc.commit()\nc.close()",
        "d = sqlite3.connect('a.db')",
        "m = d.execute('select v from t').fetchall()",
    ),
    "file_closed_later": _case(
        "f = open('a.txt', 'w')", "f.write('1')", "f.close()", "m = open('a.txt').read()"
    ),
    "file_memmap": _case(
        "import numpy as np\nf = np.memmap('a.mm', 'f8', 'w+', shape=(4,))",
        "f[:] = 3\nf.flush()",
        "m = np.array(np.memmap('a.mm', 'f8', 'r', shape=(4,)))",
    ),
    "working_folder": _case(
        "import os\nos.mkdir('sub')", "os.chdir('sub')", "m = os.path.basename(os.getcwd())"
    ),
    "environment": _case("import os\nos.environ['SLICE_K'] = '5'", "m = os.environ['SLICE_K']"),
    "environment_magic": _case("%env SLICE_K=5", "import os\nm = os.environ['SLICE_K']"),
    "settings": _case(
        "import sklearn\nsklearn.set_config(transform_output='pandas')",
        _DATA,
        "from sklearn.preprocessing import StandardScaler\nm = StandardScaler().fit_transform(df)",
        "sklearn.set_config(transform_output='default')",
    ),
    "library_patched": _case(
        "import json\nold = json.dumps",
        "json.dumps = lambda v: 'patched'",
        "m = json.dumps(1)",
        "json.dumps = old",
    ),
    "library_patched_in_function": _case(
        "import json\nold = json.dumps",
        "def patch():\n    json.dumps = lambda v: 'patched'",
        "patch()",
        "m = json.dumps(1)",
        "json.dumps = old",
    ),
    "sys_path": _case(
        "import os\nos.mkdir('lib')\nopen('lib/slice_mod_a.py', 'w').write('K = 7')",
        "import sys\nsys.path.insert(0, 'lib')",
        "import importlib\nimportlib.invalidate_caches()\nimport slice_mod_a",
        "m = slice_mod_a.K",
    ),
    "own_module_state": _case(
        "open('slice_mod_b.py', 'w').write('L = []\\ndef add(v):\\n    L.append(v)\\n')\nimport sys\nsys.path.insert(0, '.')",
        "import importlib\nimportlib.invalidate_caches()\nimport slice_mod_b",
        "slice_mod_b.add(1)",
        "m = list(slice_mod_b.L)",
    ),
    "own_module_function_state": _case(
        "open('slice_mod_c.py', 'w').write('L = []\\ndef add(v):\\n    L.append(v)\\n    return len(L)\\n')\n"
        "import sys\nsys.path.insert(0, '.')",
        "import importlib\nimportlib.invalidate_caches()\nfrom slice_mod_c import add",
        "add(1)",
        "m = add(1)",
    ),
    "submodule_import": _case(
        "import xml.dom", "import xml.sax.saxutils", "m = xml.sax.saxutils.escape('<')"
    ),
    "star_import": _case("from math import *", "m = floor(2.5)"),
    "import_alias": _case("import math as mm", "m = mm.pi"),
    "private_name": _case("_x = 4", "_y = 5", "m = _x", out=(1,)),
    "underscore": _case("4 + 1", "m = _"),
    "output_by_number": _case("4 + 1", "x = 2", "m = Out[1]"),
    "exec": _case("x = 1", "exec('x = 2')", "m = x"),
    "eval_reads": _case("x = 1", "m = eval('x + 1')"),
    "globals_store": _case("x = 1", "globals()['x'] = 2", "m = x"),
    "globals_read": _case("x = 1", "m = globals()['x']"),
    "run_cell_within": _case("x = 1", "get_ipython().run_cell('x = 2')", "m = x"),
    "user_ns": _case("x = 1", "get_ipython().user_ns['x'] = 2", "m = x"),
    "time_line": _case("x = 1", "%time m = x + 1"),
    "time_cell": _case("x = 1", "%%time\ny = x + 1\nm = y"),
    "capture_cell": _case("x = 1", "%%capture c\nm = x"),
    "shell_line": _case("!echo 7 > a.txt", "m = open('a.txt').read()"),
    "shell_assigned": _case("k = 4", "out = !echo {k}", "m = list(out)"),
    "writefile_cell": _case("%%writefile a.txt\nhello", "m = open('a.txt').read()"),
    "run_script": _case("open('s.py', 'w').write('x = 9')", "%run s.py", "m = x"),
    "matplotlib_left_out": _case("x = 1", "%matplotlib inline", "m = x", out=(1,)),
    "failed_half_way": _case("x = [1]", "x.append(2); raise ValueError", "m = x"),
    "failed_before_store": _case("x = 1", "1 / 0; x = 2", "m = x"),
    "syntax_error": _case("x = 1", "x = = 2", "m = x", out=(1,)),
    "blank_cell": _case("x = [1]", "x.append(2)", "", "  \n", "m = x"),
    "string_module": _case("import string", "m = string.ascii_letters"),
    "id_used_again": _case("x = [1]", "x = [2]", "m = x", out=(0,)),
    "same_small_int": _case("x = 1", "x = 1", "m = x", out=(0,)),
    "type_annotation": _case("T = int", "x: T = 3", "m = x"),
    "async_function": _case("K = 2", "async def f():\n    return K", "m = await f()"),
    "bound_method": _case("x = []", "add = x.append", "add(3)", "m = x"),
    "operator_inplace": _case("import operator\nx = [1]", "operator.iadd(x, [2])", "m = x"),
    "map_reads_function": _case("K = 2", "def f(v):\n    return v * K", "m = list(map(f, [1, 2]))"),
    "method_as_argument": _case("x = [1]", "list(map(x.append, [2, 3]))", "m = x"),
    "deque": _case("from collections import deque\nx = deque([1])", "x.append(2)", "m = x"),
    "counter": _case("from collections import Counter\nx = Counter()", "x.update('ab')", "m = x"),
    "defaultdict_reads": _case(
        "from collections import defaultdict\nx = defaultdict(list)", "x['k']", "m = dict(x)"
    ),
    "dataclass": _case(
        "from dataclasses import dataclass, field\n@dataclass\nclass D:\n    v: list = field(default_factory=list)",
        "d = D()",
        "d.v.append(1)",
        "m = d.v",
    ),
    "weak_delete": _case("x = 1\ny = 2", "c = True", "if c:\n    del x", "m = y", out=()),
    "nested_function_global": _case(
        "K = 3", "def f():\n    def g():\n        return K\n    return g", "h = f()", "m = h()"
    ),
    "callback_in_dict": _case("K = 3", "ops = {'a': lambda v: v * K}", "K = 4", "m = ops['a'](2)"),
    "future_import": _case("from __future__ import annotations", "x: Nowhere = 3", "m = x"),
    "duckdb_finds_names": _case(
        _DATA, "df['c'] = 1", "import duckdb", "m = duckdb.sql('select sum(c) as s from df').fetchall()"
    ),
    "query_finds_names": _case(_DATA, "K = 2", "K = 3", "m = df.query('a > @K')", out=(1,)),
    "query_in_function": _case(_DATA, "K = 3", "def f(d):\n    return d.query('a > @K')", "m = f(df)"),
    "eval_of_frame": _case(_DATA, "K = 3", "m = df.eval('a + @K')"),
    "exec_in_function": _case("x = 1", "def f():\n    exec('x = 2', globals())", "f()", "m = x"),
    "settings_in_function": _case(
        "import sklearn\ndef setup(v):\n    sklearn.set_config(transform_output=v)",
        "setup('pandas')",
        _DATA,
        "from sklearn.preprocessing import StandardScaler\nm = StandardScaler().fit_transform(df)",
        "setup('default')",
    ),
    "path_in_function": _case(
        "import os, sys, importlib\nos.mkdir('lib')\nopen('lib/slice_mod_d.py', 'w').write('K = 7')\n"
        "def setup():\n    sys.path.insert(0, 'lib')\n    importlib.invalidate_caches()",
        "setup()",
        "import slice_mod_d",
        "m = slice_mod_d.K",
    ),
    "process_writes": _case(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', \"open('a.txt','w').write('1')\"])",
        "m = open('a.txt').read()",
    ),
}
