"""Keys that only the published study's tables hold; see `cfmf.statistics.names`."""

UNBLOCKED = "unblocked"
"""The design in which every run is a sample of its own."""
PUBLISHED = "published"
"""The estimand."""

# Tests, and the effects of the Kruskal-Wallis test.
ONE_WAY = "one_way_anova"
SUM_OF_SQUARES = "sum_of_squares"
WELCH = "welch_anova"
KRUSKAL = "kruskal_wallis"
DUNN = "dunn"
TUKEY = "tukey"
EPSILON_H, ETA_H = "epsilon_squared_of_h", "eta_squared_of_h"

# Arms of the medians and the best rows; a family is `published_` and the arm.
ALL_TRIALS = "search_all_trials"
COMPLETE_TRIALS = "search_complete_trials"
GRID = "grid"
SEARCH_ON_TEST = "search_chosen_on_test"
GRID_ON_TEST = "grid_chosen_on_test"

AS_PUBLISHED = "jax-before-0.5"
"""JAX's numbers as the study had them: since version 0.5 other bits come of the same seed."""
