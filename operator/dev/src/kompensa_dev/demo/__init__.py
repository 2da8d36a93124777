"""The main job on real input, in five stages; the same stages run on a cluster and on local processes.

Read `story.py` for the order, one file a stage for what is done and checked, `target.py` for what the two places must
be able to do, `local.py` and `cluster.py` for how they do it.
"""
