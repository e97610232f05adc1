"""The documentation site: `make docs` builds it into docs/_build/html."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
# The notebook's kernel imports the package of this checkout too.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
)

from cfmf import __version__  # noqa: E402

project = "cfmf"
author = "the authors of cfmf"
copyright = "the authors of cfmf, MIT licence"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "generated", "docstrings", "mathml"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"cfmf {version}"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["attrs_inline", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3
# A plain word in backticks may be the name of several objects' attributes; it stays a word then.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_in_temp = True
nb_execution_show_tb = True

# JAX and Spark are optional, so the reference is written without them.
autodoc_mock_imports = ["jax", "pyspark"]
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = napoleon_numpy_docstring = False  # docstrings.py parses them
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
# A name in single backticks, as docstrings have them, is code and a link where it can be one.
default_role = "py:obj"
