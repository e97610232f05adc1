"""Names that the statistics' tables write and other modules look for. This module imports nothing.

The tables' readers may rely on them: a name that changes here changes in the results.
"""

# Designs: what an analysis takes for the unit of observation.
PUBLISHED = "unblocked, as published"
BLOCKED = "blocked by fold"
USERS = "users resampled"
DATASETS = "blocked by data set"
SUPPORTED = (BLOCKED, USERS, DATASETS)

# Estimands, by the keys that the config declares them by.
ESTIMANDS = {"E1": "E1 tuned reg", "E2": "E2 mean over reg", "E3": "E3 chosen setting"}
E1, E2, E3 = ESTIMANDS.values()
AS_PUBLISHED = "as published"

# Tests.
ANOVA = "repeated-measures ANOVA"
GREENHOUSE_GEISSER = f"{ANOVA}, Greenhouse-Geisser"
SHARED_ANOVA = f"{ANOVA}, Nadeau-Bengio"
FRIEDMAN = "Friedman"
IMAN_DAVENPORT = f"{FRIEDMAN}, Iman-Davenport"
CORRECTED_T = "corrected t (Nadeau-Bengio)"
BAYESIAN_T = "Bayesian correlated t"
EQUIVALENCE = "TOST (equivalence within the margin)"
POWER = "power"
WILCOXON = "Wilcoxon signed-rank"
CONOVER = "Conover"
NEMENYI = "Nemenyi"
CRITICAL_DIFFERENCE = "critical difference"
USER_BOOTSTRAP = "cluster bootstrap over users"
EFFECT_SIZE = "effect size"

# Families and arms.
CHAMPIONS = "best factorization against best neighbours"
PRUNED = "published: search, pruned trials kept"
COMPLETE = "published: search, complete trials"
GRID = "published: grid"
TUNED = f"corrected: {E1}"
SEARCH_ON_TEST = "published: search, chosen on test"
GRID_ON_TEST = "published: grid, chosen on test"
REG_ON_VALIDATION = "corrected: reg chosen on validation"
SETTING_ON_VALIDATION = "corrected: setting chosen on validation"
CORRECTED_ARMS = (TUNED, f"corrected: {E2}", REG_ON_VALIDATION, SETTING_ON_VALIDATION)
