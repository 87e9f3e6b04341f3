# ruff: noqa: E501, ISC004 - cells are read best as lines of their own
"""Long made notebooks, as lists of cells in the order of the page."""

from __future__ import annotations

# Forty cells around one model, with detours: plots, other models, helpers, data that others use.
SHUFFLED: tuple[str, ...] = (
    "import numpy as np\nimport pandas as pd",
    "from sklearn.ensemble import RandomForestClassifier\nfrom sklearn.linear_model import LogisticRegression",
    "from sklearn.model_selection import train_test_split\nfrom sklearn.pipeline import make_pipeline",
    "from sklearn.preprocessing import StandardScaler\nfrom sklearn.base import clone",
    "ROWS = 300\nSEED = 11",
    "np.random.seed(SEED)",
    "raw = pd.DataFrame(np.random.normal(size=(ROWS, 5)), columns=list('abcde'))",
    "raw['kind'] = np.where(raw['a'] > 0, 'x', 'y')",
    "notes = []",
    "def note(text):\n    notes.append(text)\n    return len(notes)",
    "note('loaded')",
    "raw.describe()",
    "raw.loc[raw['b'] > 1.5, 'b'] = np.nan",
    "counts = raw['kind'].value_counts()",
    "def fill(frame):\n    out = frame.copy()\n    out[NUMBERS] = out[NUMBERS].fillna(out[NUMBERS].median())\n    return out",
    "NUMBERS = ['a', 'b', 'c']",
    "clean = fill(raw)",
    "other = raw.dropna()\nother['z'] = 1",
    "clean['ratio'] = clean['a'] / (1 + clean['b'].abs())",
    "dummies = pd.get_dummies(clean['kind'], prefix='kind').astype(float)",
    "X = pd.concat([clean[NUMBERS + ['ratio']], dummies], axis=1)",
    "y = (clean['a'] + 0.3 * np.random.normal(size=len(clean)) > 0).astype(int)",
    "table = X.corr()",
    "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=SEED)",
    "weights = np.ones(len(X_train))",
    "half = weights[: len(weights) // 2]",
    "half *= 2",
    "steps = {'scale': StandardScaler(), 'model': LogisticRegression(max_iter=300)}",
    "baseline = make_pipeline(StandardScaler(), LogisticRegression())",
    "baseline.fit(X_train, y_train)",
    "base_score = baseline.score(X_test, y_test)",
    "steps['model'].set_params(C=0.5)",
    "forest = RandomForestClassifier(n_estimators=8)",
    "forest.fit(X_train, y_train)",
    "scores = {'forest': forest.score(X_test, y_test)}",
    "model = make_pipeline(*steps.values())",
    "note('fitting')",
    "model.fit(X_train, y_train, logisticregression__sample_weight=weights)",
    "answers = model.predict_proba(X_test)[:, 1]",
    "scores['model'] = model.score(X_test, y_test)\nscores",
)

# An order in which a person might have run them: back and forth, some again, all names defined in time.
ORDER: tuple[int, ...] = (
    0, 4, 2, 1, 3, 5, 8, 6, 9, 7, 11, 10, 12, 13, 15, 14, 16, 17, 18, 20, 19, 20, 18, 20, 21, 22, 23, 24, 27, 25,
    26, 28, 31, 29, 30, 26, 32, 33, 34, 35, 36, 37, 38, 33, 39,
)  # fmt: skip
NEEDED = {0, 1, 2, 3, 4, 5, 6, 7, 12, 14, 15, 16, 18, 19, 20, 21, 23, 24, 25, 26, 27, 31, 35, 37}
DETOURS = {10, 11, 13, 17, 22, 29, 30, 34, 36, 38, 39}

# In the manner of a course's chapter: settings, a download cached in a folder, helpers, figures, experiments.
CHAPTER: tuple[str, ...] = (
    "# Setup\nimport sys\n\nassert sys.version_info >= (3, 8)",
    "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\n\nplt.rc('font', size=14)",
    "from pathlib import Path\n\nIMAGES_PATH = Path() / 'images'\nIMAGES_PATH.mkdir(parents=True, exist_ok=True)\n\n"
    "def save_fig(fig_id, tight_layout=True, fig_extension='png'):\n"
    "    path = IMAGES_PATH / f'{fig_id}.{fig_extension}'\n    if tight_layout:\n        plt.tight_layout()\n"
    "    plt.savefig(path, format=fig_extension, dpi=30)",
    "%matplotlib agg",
    "import numpy as np\n\nnp.random.seed(42)",
    "import pandas as pd\n\ndef load_housing_data():\n    path = Path('datasets/housing.csv')\n"
    "    if not path.is_file():\n        path.parent.mkdir(parents=True, exist_ok=True)\n"
    "        rng = np.random.default_rng(1)\n        n = 200\n"
    "        frame = pd.DataFrame({'rooms': rng.integers(1, 9, n), 'income': rng.gamma(2, 2, n),\n"
    "                              'near': rng.choice(['sea', 'land'], n)})\n"
    "        frame['value'] = frame['income'] * 30 + frame['rooms'] * 5 + rng.normal(0, 9, n)\n"
    "        frame.to_csv(path, index=False)\n    return pd.read_csv(path)\n\nhousing = load_housing_data()",
    "housing.head()",
    "housing.info()",
    "housing['near'].value_counts()",
    "housing.hist(bins=20, figsize=(6, 4))\nsave_fig('attribute_histogram_plots')\nplt.show()",
    "def shuffle_and_split_data(data, test_ratio):\n    shuffled = np.random.permutation(len(data))\n"
    "    size = int(len(data) * test_ratio)\n    return data.iloc[shuffled[size:]], data.iloc[shuffled[:size]]",
    "train_set, test_set = shuffle_and_split_data(housing, 0.2)\nlen(train_set)",
    "# compute the chance of a bad sample\nsamples = (np.random.rand(1000, 10) < 0.5).sum(axis=1)\n"
    "((samples < 3) | (samples > 7)).mean()",
    "from sklearn.model_selection import train_test_split\n\n"
    "train_set, test_set = train_test_split(housing, test_size=0.2, random_state=42)",
    "housing['income_cat'] = pd.cut(housing['income'], bins=[0, 1.5, 3, 4.5, 6, np.inf], labels=[1, 2, 3, 4, 5])",
    "housing['income_cat'].value_counts().sort_index().plot.bar(rot=0)\nsave_fig('income_cat')",
    "from sklearn.model_selection import StratifiedShuffleSplit\n\n"
    "splitter = StratifiedShuffleSplit(n_splits=2, test_size=0.2, random_state=42)\nstrat_splits = []\n"
    "for train_index, test_index in splitter.split(housing, housing['income_cat'].isna()):\n"
    "    strat_splits.append([housing.iloc[train_index], housing.iloc[test_index]])",
    "strat_train_set, strat_test_set = strat_splits[0]",
    "for set_ in (strat_train_set, strat_test_set):\n    set_.drop('income_cat', axis=1, inplace=True)",
    "housing = strat_train_set.copy()",
    "housing.plot(kind='scatter', x='income', y='value')\nsave_fig('scatter')",
    "corr = housing.corr(numeric_only=True)\ncorr['value'].sort_values()",
    "housing['rooms_per_income'] = housing['rooms'] / housing['income']",
    "housing = strat_train_set.drop('value', axis=1)\nhousing_labels = strat_train_set['value'].copy()",
    "null_rows = housing.isnull().any(axis=1)\nhousing.loc[null_rows]",
    "from sklearn.impute import SimpleImputer\n\nimputer = SimpleImputer(strategy='median')\n"
    "housing_num = housing.select_dtypes(include=[np.number])\nimputer.fit(housing_num)",
    "imputer.statistics_",
    "from sklearn.preprocessing import OneHotEncoder, StandardScaler\n\ncat_encoder = OneHotEncoder()\n"
    "cat_encoder.fit_transform(housing[['near']]).toarray()[:3]",
    "from sklearn.base import BaseEstimator, TransformerMixin\n\n"
    "class Ratio(BaseEstimator, TransformerMixin):\n    def __init__(self, offset=1):\n"
    "        self.offset = offset\n    def fit(self, X, y=None):\n        self.n_features_in_ = X.shape[1]\n        return self\n"
    "    def transform(self, X):\n        return ratio_of(np.asarray(X)) + self.offset",
    "def ratio_of(values):\n    return values[:, [0]] / (EPSILON + values[:, [1]])",
    "EPSILON = 1e-6",
    "from sklearn.compose import ColumnTransformer\nfrom sklearn.pipeline import make_pipeline\n\n"
    "preprocessing = ColumnTransformer([\n    ('ratio', make_pipeline(Ratio(), StandardScaler()), ['rooms', 'income']),\n"
    "    ('num', make_pipeline(imputer, StandardScaler()), ['rooms', 'income']),\n    ('cat', cat_encoder, ['near']),\n])",
    "preprocessing.fit_transform(housing)[:2]",
    "from sklearn.linear_model import LinearRegression\n\nlin_reg = make_pipeline(preprocessing, LinearRegression())\n"
    "lin_reg.fit(housing, housing_labels)",
    "from sklearn.metrics import mean_squared_error\n\nmean_squared_error(housing_labels, lin_reg.predict(housing)) ** 0.5",
    "from sklearn.tree import DecisionTreeRegressor\n\n"
    "tree_reg = make_pipeline(preprocessing, DecisionTreeRegressor(random_state=42))\ntree_reg.fit(housing, housing_labels)",
    "from sklearn.model_selection import cross_val_score\n\n"
    "tree_rmses = -cross_val_score(tree_reg, housing, housing_labels, scoring='neg_root_mean_squared_error', cv=3)\n"
    "pd.Series(tree_rmses).describe()",
    "from sklearn.ensemble import RandomForestRegressor\n\n"
    "forest_reg = make_pipeline(preprocessing, RandomForestRegressor(n_estimators=5, random_state=42))\n"
    "%time forest_reg.fit(housing, housing_labels)",
    "from sklearn.linear_model import SGDRegressor\n\n"
    "sgd_reg = make_pipeline(preprocessing, SGDRegressor(max_iter=50))\nsgd_reg.fit(housing, housing_labels)",
    "EPSILON = 1e-3",
    "import joblib\n\njoblib.dump(forest_reg, 'forest.pkl')",
    "final = joblib.load('forest.pkl')\nfinal_predictions = final.predict(strat_test_set.drop('value', axis=1))",
    "plt.figure()\nplt.plot(final_predictions)\nsave_fig('final')\nplt.close('all')",
)
