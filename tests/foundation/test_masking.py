import ast
import contextlib
import time
from pathlib import Path

import pandas as pd
import pytest
import sklearn

from mlops_magics.foundation.masking import masked, masked_value

ROOT = Path(__file__).parents[2]
JWT = "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
WORDS = "correct horse battery"
# What is written, and the part of it that must not be left.
SECRETS = {
    "address": ("postgresql://user:hunter2@host/db", "hunter2"),
    "address with @ in the password": ("postgresql://user:hun@ter2@host/db", "ter2"),
    "address without a user": ("redis://:hunter2@host", "hunter2"),
    "assigned": ('api_key = "abcd1234"', "abcd1234"),
    "annotated": ("password: str = 'abcd1234'", "abcd1234"),
    "quote inside": ('token="it\'s-abcd1234"', "abcd1234"),
    "in a dict": ('{"client_secret": "abcd1234"}', "abcd1234"),
    "put into the environment": ('os.environ["AWS_SECRET_ACCESS_KEY"] = "abcd1234"', "abcd1234"),
    "default of getenv": ('os.getenv("API_TOKEN", "abcd1234")', "abcd1234"),
    "in a notebook's JSON": ('"source": ["api_key = \\"abcd1234\\"\\n"]', "abcd1234"),
    "printed environment": ("HOME=/root\nAWS_SECRET_ACCESS_KEY=abcd1234\nLANG=C", "abcd1234"),
    "%env": ("%env API_TOKEN=abcd1234", "abcd1234"),
    "bearer header": ("Authorization: Bearer abcdefghijkl", "abcdefghijkl"),
    "basic header": ("curl -H 'Authorization: Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
    "own header": ('headers={"X-Api-Key": "abcd1234"}', "abcd1234"),
    "AWS": ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN"),
    "GitHub": (f"ghp_{'a1' * 18}", "a1a1"),
    "GitHub, fine-grained": (f"github_pat_{'a1' * 25}", "a1a1"),
    "OpenAI": ("sk-proj-abcdefghijkl0123456789", "0123"),
    "Slack": ("xoxb-123456789012-abcdef", "123456"),
    "Hugging Face": (f"hf_{'aB1' * 12}", "aB1"),
    "Databricks": (f"dapi{'0a' * 16}", "0a0a"),
    "JWT": (f"got {JWT} back", "SflKx"),
    "JWT in a keyword": (f"get(jwt='{JWT}')", "SflKx"),
    "private key": (KEY, "MIIEow"),
    "private key, cut short": ("-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA75", "MIIEow"),
    "private key in literals": (repr(KEY).replace("MII", "'\n 'MII"), "MIIEow"),
    "private key in a diff": (KEY.replace("\n", "\n+"), "MIIEow"),
    "behind a colon": ('ValueError: token="abcdef123"', "abcdef"),
    "behind another entry": ("{'sort_key': 1.0, 'api_key': 'abcd'}", "abcd"),
    "on the next line": ("connect(password=\n    'abcdefgh')", "abcd"),
    "behind a backslash": ("password = \\\n    'abcdefgh'", "abcd"),
    "fallback": ("password = os.environ.get('PASSWORD') or 'abcdefgh'", "abcd"),
    "otherwise": ("password = 'abcdefgh' if x else 'efghefgh'", "efgh"),
    "request line": ("GET /a?api_key=abcd1234 HTTP/1.1", "abcd"),
    "in a literal": ("line = 'api_key=\"abcd1234\"'", "abcd"),
    "in a literal of a key": ("sort_key = 'api_key=\"abcd1234\"'", "abcd"),
    "in a sentence": ("Login: your API key: abcd1234 is wrong", "abcd"),
    "told": ("Error: password=abcd1234", "abcd"),
    "told in a literal": ('print("with password=abcd1234 now")', "abcd"),
    "pass phrase": (f'password = "{WORDS}"', "horse"),
    "escaped quote": (r'password = "abcd\"efgh1234"', "efgh"),
    "lines": ('secret = """abcd1234\nefgh5678"""', "efgh"),
    "literals in a row": ('token = ("abcd1234"\n         "efgh5678")', "efgh"),
    "added literals": ('api_key = "abcd1234" + "efgh5678"', "efgh"),
    "formatted": ('password = f"abcd1234{x}"', "abcd"),
    "bytes": ('secret_key = b"abcd1234"', "abcd"),
    "attribute": ('openai.api_key = "abcdefgh"', "abcdefgh"),
    "walrus": ('if (token := "abcd1234"): pass', "abcd"),
    "compared": ('if password == "abcd1234": pass', "abcd"),
    "several names": ('user, password = "me", "abcdefgh"', "abcdefgh"),
    "list": ('passwords = ["abcd1234", "efgh5678"]', "efgh"),
    "camel case": ('{"accessToken": "abcd1234"}', "abcd"),
    "set in the environment": ('monkeypatch.setenv("API_TOKEN", "abcdefgh")', "abcdefgh"),
    "pair": ('[("password", "abcd1234")]', "abcd"),
    "basic auth": ('requests.get(url, auth=("me", "abcdefgh"))', "abcdefgh"),
    "number": ("x = 1\npassword = 12345678", "12345678"),
    "YAML": ("db:\n  password: abcd1234\n", "abcd"),
    "ini": ("[db]\nsecret_key = abcd1234/efgh\n", "efgh"),
    "command line": ("!mysql --password=abcd1234 db", "abcd"),
    "option": ("!login --token abcd1234efgh5678", "abcd"),
    "curl": ("!curl -s -u me:abcdefgh https://host", "abcdefgh"),
    "in a query": ("https://host/a?x=1&access_token=abcd1234&y=2", "abcd"),
    "signed address": ("https://host/a?sv=1&sig=abcd1234abcd1234abcd%3D", "abcd"),
    "connection string": ("Server=h;Uid=me;Password=abcd1234;Encrypt=yes", "abcd"),
    "Azure": ("DefaultEndpointsProtocol=https;AccountKey=abcd1234/efgh==;X=1", "efgh"),
    "libpq": ('connect("host=h password=abcd1234 dbname=d")', "abcd"),
    "token for a user": ("https://0123456789abcdef0123@host/a", "cdef"),
    "printed header": ("X-Api-Key: abcd1234", "abcd"),
    "cookie": ("Cookie: a=1; session_id=abcdef123456", "abcdef"),
    "magic as Python": ("get_ipython().run_line_magic('env', 'API_TOKEN=abcd1234')", "abcd"),
    "AWS, both halves": (f"('AKIAIOSFODNN7EXAMPLE', '{'aB1/' * 10}')", "aB1"),
    "Anthropic": (f"sk-ant-api03-{'aB1-' * 10}", "aB1"),
    "GitLab": (f"glpat-{'aB1-' * 5}", "aB1"),
    "Google": (f"AIza{'aB1-e' * 7}", "aB1"),
    "Stripe": (f"sk_live_{'aB1' * 8}", "aB1"),
    "npm": (f"npm_{'aB1' * 12}", "aB1"),
    "PyPI": (f"pypi-AgEIcHlwaS5vcmc{'aB1' * 12}", "aB1"),
    "Slack's address": ("https://hooks.slack.com/services/T00000000/B00000000/abcd1234", "abcd"),
    "SendGrid": (f"SG.{'aB1' * 7}.{'aB1' * 14}", "aB1"),
}
CLEAN = [
    "http://localhost:5000/models/flights@champion",
    "sqlite:////home/me/mlflow.db",
    "Basic authentication and bearer authentication are explained here.",
    '<a class="sk-estimator-doc-link fitted"><label class="sk-toggleable__label-arrow">',
    "#sk-container-id-100 {color: red}",
    "max_tokens=4096\nMAX_TOKENS=4096",
    "password = getpass('Your password: ')",
    "token = get_token()\nAPI_TOKEN=get_token()",
    "tokens = tokenizer(text)",
    "Send it as: Authorization: Bearer <token>.",
    'token_pattern=r"(?u)\\b\\w\\w+\\b", eos_token="<|endoftext|>", pad_token="[PADDING]"',
    'tokenizer = "bert-base-uncased"; sort_key = "distance_km"; keys = ["carrier_1", "origin_22"]',
    'password: str | None = None\ntoken: Token\nsecret: "SecretStr"',
    "password = args.password2\ntoken = tokens[1]\nx = f(password=password)",
    'TOKEN = os.environ["HF_TOKEN"]\nurl = f"https://h/?token={token}&x=1"',
    'PASSWORD_FIELD = "password_field"; API_KEY = "api_key"; fields = ["user", "password", "email"]',
    "PWD=/home/me/work1\nOLDPWD=/home/me/2",
    'private_key = "/home/me/.ssh/id_rsa2"',
    "password = '%s' % x; secret = f'{a}-{b}'; token = '<your token>'; api_key = '${API_KEY}'",
    "Cookie: theme=dark1234; lang=en",
    "accuracy 0.93, task-specific-model-number-1",
]
# Words in our own sources that look like secrets, because they show what a secret looks like.
LOOK_ALIKES = {  # names and places of secrets, and no secret
    '"-C certificate=FILE  answer over TLS, with -C private_key=FILE; and at -C host=ADDRESS\\n\\n"',
    'secret = (f"kubectl create secret generic {plan.name} {literals}",) if plan.secrets else ()',
    "# Secrets: one NAME='value' a line, in a file that only you can read (chmod 600).",
    'secrets="${{XDG_CONFIG_HOME:-$HOME/.config}}/mlops-magics/{name}.env"',
    'SECRET: Final = "MLOPS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable',
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_masked_and_the_rest_stays(kind: str) -> None:
    text, secret = SECRETS[kind]
    told = masked(f"before {text} after" if "\n" not in text and "%" not in text else text)
    assert secret not in told
    assert "****" in told
    assert masked(told) == told


def test_what_stands_around_a_secret_stays() -> None:
    assert masked("postgresql://user:hunter2@host/db?x=1") == "postgresql://user:****@host/db?x=1"
    assert masked('connect(api_key="abcd1234", retries=3)') == 'connect(api_key="****", retries=3)'


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_text_is_untouched(text: str) -> None:
    assert masked(text) == text


def test_our_own_sources_hold_nothing_that_looks_like_a_secret() -> None:
    files = [*(ROOT / "mlops_magics").rglob("*.py"), *(ROOT / "widgets" / "src").rglob("*.ts")]
    files += [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile"]
    changed = [
        (file.name, line)
        for file in files
        for line, told in zip(
            file.read_text().splitlines(), masked(file.read_text()).splitlines(), strict=False
        )
        if line != told and line.strip() not in LOOK_ALIKES
    ]
    assert changed == []


def test_code_stays_python_and_a_second_time_changes_nothing() -> None:
    for text, _ in SECRETS.values():
        told = masked(text)
        assert masked(told) == told
        with contextlib.suppress(SyntaxError):
            ast.parse(text)
            ast.parse(told)


def test_a_masked_text_of_several_lines_keeps_their_number() -> None:
    told = masked('secret = """abcd1234\nefgh5678\n"""\nx = 1')
    assert told == 'secret = """****\n\n"""\nx = 1'


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("api_key", "abc", "****"),
        ("model__token", "abcdef", "****"),
        ("max_tokens", "4096", "4096"),
        ("vect__token_pattern", r"\w+", r"\w+"),
        ("password", "None", "None"),
        ("url", "https://me:abcd@host", "https://me:****@host"),
    ],
)
def test_a_parameter_is_masked_by_its_name_or_its_value(name: str, value: str, told: str) -> None:
    assert masked_value(name, value) == told


def test_libraries_are_hardly_changed_and_stay_python() -> None:
    """At most one line of 5,000 in pandas and scikit-learn: those are examples of passwords."""
    lines = changed = 0
    for library in (pd, sklearn):
        for file in sorted(Path(library.__file__).parent.rglob("*.py"))[::7]:
            text = file.read_text(encoding="utf-8")
            told = masked(text)
            lines += text.count("\n")
            if told != text:
                ast.parse(told)
                assert masked(told) == told
                changed += sum(a != b for a, b in zip(text.split("\n"), told.split("\n"), strict=True))
    assert lines > 100_000
    assert changed / lines < 0.0002


HOSTILE = [
    *(
        "a-",
        "-",
        "token",
        "token:a ",
        "http://",
        "://x:",
        "://a@",
        "A_",
        "sk-",
        "eyJ-",
        "eyJaaaaaaaa.",
        "a_",
        "aA",
    ),
    *(
        "token = \n",
        'token="',
        "token='x\"",
        'token="\\',
        'token=\\"',
        'token="""',
        "token=(",
        'token="a"+',
        "secret=a ",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "a,token",
        'a,token="a",',
        "--token ",
        "token=a&",
        "curl -u",
        "?sig=",
        "Cookie: a",
    ),
    *(
        "X-Api-Key: ",
        "AKIAIOSFODNN7EXAMPLE ",
        "bearer ",
        "bearer a",
        "authorization: basic ",
        "auth=('",
        "password: [",
        " ",
        "\n",
    ),
    *(
        "token = a or ",
        "token=a ",
        "token: a ",
        "password = 'a' or ",
        "\\",
        '"',
        "'",
        '\\"token\\": \\"',
        "key-",
        "token.",
        "token==",
        "token:str",
    ),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_takes_long(text: str) -> None:
    """A megabyte in under a second, whatever is repeated in it; a quarter of one shows it as well."""
    begun = time.process_time()
    masked("token key secret -u auth cookie " + text * (250_000 // len(text)))
    assert time.process_time() - begun < 0.6  # seconds; under 0.3 even on a busy machine
