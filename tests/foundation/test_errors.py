import pickle

import pytest

from mlops_magics.foundation import errors
from mlops_magics.foundation.errors import MissingExtraError, MLOpsError, UsageError, nearest


def test_an_error_is_shown_in_two_lines_without_a_traceback() -> None:
    shown = UsageError("That is wrong.", "Do this.")._render_traceback_()
    assert shown == ["UsageError: That is wrong.", "→ Do this."]
    error = UsageError("That is wrong.", "Do this.")
    error.more = "%verb? shows it."
    assert error._render_traceback_()[2:] == ["? %verb? shows it."]
    assert str(UsageError("That is wrong.", "Do this.")) == "That is wrong.\nDo this."


def test_a_missing_extra_names_the_exact_install_command() -> None:
    error = MissingExtraError("nbclient", "demo")
    assert error.what == "nbclient is not installed."
    assert error.remedy == "Install it with: pip install 'mlops-magics[demo]'"


@pytest.mark.parametrize("error", [UsageError("a", "b"), MissingExtraError("nbclient", "demo")])
def test_an_error_survives_the_way_between_processes(error: MLOpsError) -> None:
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - made on this line
    assert (type(back), back.what, back.remedy) == (type(error), error.what, error.remedy)


def test_none_of_them_is_the_error_that_nbval_lets_pass() -> None:
    from IPython.core.error import UsageError as OfIPython

    family = [item for item in vars(errors).values() if isinstance(item, type)]
    assert not any(issubclass(item, OfIPython) for item in family)


def test_nearest_says_what_was_probably_meant() -> None:
    assert nearest("flihgts", ["flights", "trains"]) == "Did you mean 'flights'?"
    assert nearest("zzz", ["b", "a", "a"]) == "There is: a, b."
    assert nearest("zzz", (f"name{i:02}" for i in range(20))).endswith("name07 and 12 more.")
    assert nearest("zzz", []) == ""
