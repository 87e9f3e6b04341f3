"""What calls mean by their names alone: where no observation of the process can tell."""

from __future__ import annotations

import re

# The state that every later cell depends on, and that nothing records: such cells are always kept.
_WORLD = (
    "warnings.", "sys.path.", "sys.setrecursionlimit", "os.chdir", "os.environ.", "os.putenv", "os.unsetenv",
    "locale.", "logging.", "np.seterr", "numpy.seterr", "np.set_printoptions", "numpy.set_printoptions",
    "site.addsitedir", "importlib.reload", "load_dotenv", "dotenv.load_dotenv",
)  # fmt: skip
_SETTINGS = re.compile(
    r"(?:^|\.)(?:set_config|set_option|set_options|reset_option|setlocale|set_default_dtype)$"
)
_PROCESS = ("os.system", "os.popen", "os.exec", "os.spawn", "subprocess.")
_ANYTHING = {
    "exec", "eval", "globals", "locals", "vars", "dir", "compile", "__import__", "importlib.reload", "reload",
    "importlib.import_module",
}  # fmt: skip

# What reads the notebook's names out of text: DuckDB finds ``df`` in "from df", pandas ``@k`` in a query.
_TEXTUAL = {"sql", "query", "eval", "execute", "executemany", "sql_query"}
_TEXTUAL_ALWAYS = {"sql", "query"}
# Within functions only the last words of calls are known.
_WORLD_WORDS = {
    "set_config", "set_option", "set_options", "reset_option", "setlocale", "set_default_dtype",
    "filterwarnings",
    "simplefilter", "resetwarnings", "seterr", "set_printoptions", "setrecursionlimit", "basicConfig",
}  # fmt: skip
_ANYTHING_WORDS = (_ANYTHING - {"compile"}) | {"import_module", "get_ipython", "user_ns"} | _TEXTUAL_ALWAYS

# Libraries with readers and writers of their own, which no audit event tells of.
_NATIVE_READ = re.compile(
    r"(?:^|\.)(?:read_parquet|read_feather|read_orc|read_hdf|read_table|read_ipc|read_avro|read_delta|"
    r"read_database|read_sql\w*|scan_\w+|ParquetFile|ParquetDataset|dataset|HDFStore|load_model|load_weights)$"
)
_NATIVE_WRITE = re.compile(
    r"(?:^|\.)(?:to_parquet|to_feather|to_orc|to_hdf|to_sql|write_\w+|sink_\w+|HDFStore|save_model|"
    r"save_weights|ParquetWriter)$"
)
MAPPED = "<open file>"  # stands for whatever a cell does to a file that another cell has opened
_NATIVE_BOTH = re.compile(r"^<open file>$|(?:^|\.)(?:sql|execute|executemany|executescript|commit)$")
_READ = re.compile(
    r"(?:^|\.)(?:read_\w+|load\w*|loads|open|fromfile|genfromtxt|imread|memmap|exists|is_file|is_dir|isfile|isdir|"
    r"glob|rglob|iterdir|listdir|scandir|walk|stat|getsize|getmtime)$"
)
_WRITE = re.compile(
    r"(?:^|\.)(?:to_csv|to_json|to_pickle|to_excel|write|writelines|dump|save\w*|tofile|mkdir|makedirs|unlink|"
    r"remove|rmtree|rename|replace|copy2|copyfile|copytree|move|urlretrieve|extractall|extract|touch|memmap)$"
)
_TEXT = {
    "replace",
    "remove",
    "extract",
    "walk",
    "dataset",
    "loads",
    "move",
}  # of strings and lists, far oftener

_SEEDS = {
    "random.seed": "random",
    "numpy.random.seed": "numpy",
    "torch.manual_seed": "torch",
    "torch.random.manual_seed": "torch",
    "tensorflow.random.set_seed": "tensorflow",
}
_SEED_ENDS = ("seed", "manual_seed", "set_seed")
_DRAWS_NOTHING = (
    "print", "display", "len", "range", "int", "str", "float", "warnings", "os", "sys", "plt", "mpl",
    "sns", "Path",
    "pathlib", "pd.set_option", "np.set_printoptions", "pd.options", "time", "logging", "get_ipython",
)  # fmt: skip
_ENTROPY = re.compile(
    r"(?:^|\.)(?:urandom|uuid1|uuid4|token_hex|token_bytes|token_urlsafe|SystemRandom|getrandbits)$"
)
_CLOCK = re.compile(
    r"(?:^|\.)(?:time|time_ns|perf_counter|perf_counter_ns|monotonic|monotonic_ns|process_time|process_time_ns|"
    r"thread_time|now|utcnow|today|localtime|gmtime|ctime)$"
)
_UNSEEDED = re.compile(r"(?:^|\.)(?:default_rng|RandomState|SeedSequence|PCG64|MT19937|Philox|SFC64|Random)$")


def changes_world(call: str) -> bool:
    """Tell whether a call changes settings of the whole process."""
    return call.startswith(_WORLD) or _SETTINGS.search(call) is not None


def starts_process(call: str) -> bool:
    """Tell whether a call runs another program."""
    return call.startswith(_PROCESS)


def may_do_anything(call: str) -> bool:
    """Tell whether a call may read or change any name."""
    return call in _ANYTHING


def reads_names_in_text(call: str) -> bool:
    """Tell whether a call may look up names that stand in its text."""
    return call.rpartition(".")[2] in _TEXTUAL and "." in call


def reads_text(words: set[str]) -> bool:
    """Tell the same of a function by the attributes that it looks up."""
    return not words.isdisjoint(_TEXTUAL)


def within_may_do_anything(words: frozenset[str]) -> bool:
    """Tell the same of a function by the names that it uses."""
    return not words.isdisjoint(_ANYTHING_WORDS)


def within_changes_world(words: frozenset[str]) -> str:
    """Name the setting of the process that a function may change, or ""."""
    return min(words & _WORLD_WORDS, default="")


def reads_unseen(call: str) -> bool:
    """Tell whether a call may read a file without an audit event."""
    return bool(_NATIVE_READ.search(call) or _NATIVE_BOTH.search(call))


def writes_unseen(call: str) -> bool:
    """Tell whether a call may write a file without an audit event."""
    return bool(_NATIVE_WRITE.search(call) or _NATIVE_BOTH.search(call))


def reads_file(call: str) -> bool:
    """Tell whether a call looks like reading a file."""
    return call.rpartition(".")[2] not in _TEXT and _READ.search(call) is not None


def writes_file(call: str) -> bool:
    """Tell whether a call looks like writing a file."""
    return call.rpartition(".")[2] not in _TEXT and _WRITE.search(call) is not None


def looks_like_seed(call: str) -> bool:
    """Tell whether a call may set a generator's seed."""
    return call.rpartition(".")[2] in _SEED_ENDS


def seeded_by(call: str) -> str | None:
    """Name the generator that a function, by its full name, seeds."""
    return _SEEDS.get(call)


def draws_nothing(call: str) -> bool:
    """Tell whether a call surely leaves the random generators alone."""
    return call in _DRAWS_NOTHING or call.startswith(tuple(f"{root}." for root in _DRAWS_NOTHING))


def reads_clock(call: str) -> bool:
    """Tell whether a call reads the time."""
    return _CLOCK.search(call) is not None


def draws_entropy(call: str, *, bare: bool) -> bool:
    """Tell whether a call takes randomness that nothing can repeat.

    Args:
        call: The dotted name that is called.
        bare: Whether it is called without arguments.
    """
    return bool(_ENTROPY.search(call) or (bare and _UNSEEDED.search(call)))
