"""Keys that the statistics' tables hold and other modules look for. This module imports nothing.

The report's catalogues give their wording in every language.
"""

# Designs: the unit of observation of an analysis.
BLOCKED = "by_fold"
DATASETS = "by_dataset"
SUPPORTED = (BLOCKED, DATASETS)

# Estimands, as the config declares them.
ESTIMANDS = E1, E2, E3 = "E1", "E2", "E3"

# Populations: what a difference is estimated for.
POPULATIONS = NEW_RATINGS, NEW_USERS, NEW_USERS_AND_ITEMS = (
    "new_ratings",
    "new_users",
    "new_users_and_items",
)

# Verdicts on a pair.
VERDICTS = MATTERS, SMALL, EQUIVALENT, INCONCLUSIVE = (
    "better_and_matters",
    "better_below_margin",
    "equivalent",
    "inconclusive",
)

# Families.
OF_K = "k"
METHODS = "methods"
AGAINST = "against_control"
PRIMARY = "primary"
BLENDS = "blends"
ACROSS = "across_datasets"
SCHEMES = "split_schemes"

# Tests.
SHARED_ANOVA = "rm_anova_nadeau_bengio"
MIXED_MODEL = "mixed_model"
FRIEDMAN = "friedman"
IMAN_DAVENPORT = "friedman_iman_davenport"
MEAN_RANK = "mean_rank"
CONOVER = "conover"
NEMENYI = "nemenyi"
CRITICAL_DIFFERENCE = "critical_difference"
RANKS_AGAINST_CONTROL = "ranks_against_control"
CORRECTED_T = "corrected_t"
BAYESIAN_T = "bayesian_t"
POWER = "power"
WILCOXON = "wilcoxon"
CLUSTERED_T = "clustered_t"
EFFECT_SIZE = "effect_size"
KENDALL = "kendall_tau"
HIERARCHICAL = "hierarchical_bayes"

# The best method of each family, chosen fold by fold: levels beside the methods themselves.
COMPOSITES = {"factorization": "best_factorization", "neighbours": "best_neighbours"}

# Statistics and effects that other modules look for.
LOWER, WITHIN, HIGHER = "p_first_lower", "p_within_margin", "p_first_higher"
DIFFERENCE = "difference_of_rmse"
SHARE_OF_SCALE = "difference_of_rmse_over_scale"
DETECTABLE = "minimum_detectable_difference"

# Arms of the medians and the best rows.
ARMS = {E1: "tuned_reg", E2: "mean_over_reg"}
REG_ON_VALIDATION = "reg_chosen_on_validation"
SETTING_ON_VALIDATION = "setting_chosen_on_validation"
CORRECTED_ARMS = (*ARMS.values(), REG_ON_VALIDATION, SETTING_ON_VALIDATION)
