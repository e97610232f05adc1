"""Methods of other packages, as methods of this one: named in a config as `module:Class`.

Each imports its package only where it fits or predicts, in the environment `peers`.
"""
