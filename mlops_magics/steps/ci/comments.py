"""The one comment that a change gets: posted the first time, written anew afterwards.

Who posts it runs nothing of the change, and may do nothing else. No word of a notebook is read by a shell.
"""

from __future__ import annotations

from typing import Final

from mlops_magics.steps.ci.result import Validation
from mlops_magics.steps.ci.summary import markdown

_MARK: Final = "<!-- mlops ci -->"  # by which it is found again
_BYTES: Final = 60_000  # GitHub takes 65,536 characters; a variable holds 128 KB
_CUT: Final = "\n\n(The rest is on the page of the run.)\n"


def comment(found: Validation) -> str:
    """Write the summary as a comment: one that can be found again, and is not too long.

    Args:
        found: What came of all notebooks.
    """
    text = f"{_MARK}\n{markdown(found)}"
    content = text.encode()
    if len(content) <= _BYTES:
        return text
    kept, _, _ = content[:_BYTES].decode(errors="ignore").rpartition("\n")
    return "\n".join([kept, *_open(kept)]) + _CUT


def _open(text: str) -> list[str]:
    """Return the fence of the block of code that a cut has left open, which would take in the last line."""
    fence = ""
    for line in text.split("\n"):
        if not fence and line.startswith("```"):
            fence = line.removesuffix("text")
        elif line == fence:
            fence = ""
    return [fence] if fence else []


HAND_ON: Final = """\
test -f "$RUNNER_TEMP/comment.md" || exit 0
END="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')"
{ echo "comment<<$END"; cat "$RUNNER_TEMP/comment.md"; echo; echo "$END"; } >> "$GITHUB_OUTPUT"
"""

# gh is part of GitHub's runners. --raw-field reads nothing into a text.
GITHUB: Final = f"""\
PLACE="repos/$GITHUB_REPOSITORY/issues"
FOUND="$(gh api --paginate "$PLACE/$NUMBER/comments" \
--jq '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith("{_MARK}"))) | .id')"
FOUND="$(echo "$FOUND" | tail -n 1)"
if [ -n "$FOUND" ]; then
  gh api --silent --method PATCH "$PLACE/comments/$FOUND" --raw-field "body=$COMMENT"
else
  gh api --silent --method POST "$PLACE/$NUMBER/comments" --raw-field "body=$COMMENT"
fi
"""

# A job's own token may write no note on GitLab, so a project's access token is asked for, by its own name.
GITLAB: Final = f"""\
python - <<'END'
import json, os, sys, urllib.request
token, file = os.environ.get("MLOPS_NOTE_TOKEN"), os.environ["COMMENT_FILE"]
if not token or not os.path.isfile(file):
    sys.exit("No note: MLOPS_NOTE_TOKEN is not set." if not token else "No note: there is no summary.")
place = "{{CI_API_V4_URL}}/projects/{{CI_PROJECT_ID}}/merge_requests/{{CI_MERGE_REQUEST_IID}}/notes"
place = place.format_map(os.environ)
def ask(method, url, body=None):
    data = None if body is None else json.dumps({{"body": body}}).encode()
    headers = {{"PRIVATE-TOKEN": token, "Content-Type": "application/json"}}
    asked = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)
notes = ask("GET", place + "?sort=desc&per_page=100")
mine = [note["id"] for note in notes if note["body"].startswith("{_MARK}") and not note["system"]]
body = open(file, encoding="utf-8").read()
ask(*(("PUT", place + "/" + str(mine[0])) if mine else ("POST", place)), body)
END
"""
