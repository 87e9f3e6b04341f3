"""In which order the files of tests are begun."""

# Those that take longest come first: one of them, begun last, would run alone at the end.
LONGEST = (
    "test_quickstart.py",
    "test_store_gone_after_search.py",
    "test_ci_steps.py",
    "test_tune.py",
    "test_store_down.py",
    "test_tune_splits.py",
    "test_reproduce.py",
    "test_monitor.py",
    "test_walked.py",
    "test_lifecycle.py",
    "test_profile_card.py",
    "test_promote_card.py",
    "test_output.py",
    "test_kernels.py",
    "test_features.py",
    "test_retraining_killed.py",
    "test_retraining_loop.py",
    "test_retrain.py",
)
