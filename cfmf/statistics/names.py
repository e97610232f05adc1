"""Keys that the statistics' tables hold and other modules look for. This module imports nothing.

The report's catalogues give their wording in every language.
"""

# Designs: the unit of observation of an analysis.
UNBLOCKED = "unblocked"
BLOCKED = "by_fold"
USERS = "by_user"
DATASETS = "by_dataset"
SUPPORTED = (BLOCKED, USERS, DATASETS)

# Estimands, as the config declares them.
ESTIMANDS = E1, E2, E3 = "E1", "E2", "E3"
PUBLISHED = "published"

# Families; those of the published study are `published_` and the arm.
OF_K = "k"
METHODS = "methods"
AGAINST = "against_control"
BEST = "best_per_family"
ACROSS = "across_datasets"
SCHEMES = "split_schemes"

# Tests.
ANOVA = "rm_anova"
GREENHOUSE_GEISSER = "rm_anova_greenhouse_geisser"
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
EQUIVALENCE = "equivalence"
POWER = "power"
WILCOXON = "wilcoxon"
USER_BOOTSTRAP = "user_bootstrap"
EFFECT_SIZE = "effect_size"
KENDALL = "kendall_tau"
ONE_WAY = "one_way_anova"
SUM_OF_SQUARES = "sum_of_squares"
WELCH = "welch_anova"
KRUSKAL = "kruskal_wallis"
DUNN = "dunn"
TUKEY = "tukey"

# Tests of the simulations only.
SEEDS_AS_BLOCKS = "rm_anova_seeds_as_blocks"
ONE_PAIR = {test: f"{test}_one_pair" for test in (CORRECTED_T, WILCOXON, CONOVER)}
"""The tests of one pair of levels only, unadjusted."""

# Statistics and effects that other modules look for.
LOWER, WITHIN, HIGHER = "p_first_lower", "p_within_rope", "p_first_higher"
DIFFERENCE = "difference_of_rmse"
DETECTABLE = "minimum_detectable_difference"
EPSILON_H, ETA_H = "epsilon_squared_of_h", "eta_squared_of_h"

# Arms of the medians and the best rows.
ALL_TRIALS = "search_all_trials"
COMPLETE_TRIALS = "search_complete_trials"
GRID = "grid"
ARMS = {E1: "tuned_reg", E2: "mean_over_reg"}
SEARCH_ON_TEST = "search_chosen_on_test"
GRID_ON_TEST = "grid_chosen_on_test"
REG_ON_VALIDATION = "reg_chosen_on_validation"
SETTING_ON_VALIDATION = "setting_chosen_on_validation"
CORRECTED_ARMS = (*ARMS.values(), REG_ON_VALIDATION, SETTING_ON_VALIDATION)
