import time
from pathlib import Path

import pytest

from mlops_magics.foundation.masking import masked

ROOT = Path(__file__).parents[2]
JWT = "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
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
    "private key": (KEY, "MIIEow"),
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
    "accuracy 0.93, task-specific-model-number-1",
]
# Words in our own sources that look like secrets, because they show what a secret looks like.
LOOK_ALIKES: set[str] = set()


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


@pytest.mark.parametrize(
    "text", ["a-", "-", "token", "token:a ", "http://", "://x:", "A_", "sk-", "eyJ", "token = \n"]
)
def test_no_text_takes_long(text: str) -> None:
    begun = time.process_time()
    masked(text * (200_000 // len(text)))
    assert time.process_time() - begun < 3
