"""The main job on real input, in five stages; the same stages run on a cluster and on local processes.

Read `story.py` for the order, one file a stage for its acts and checks, `target.py` for the interface of the two
places, `local.py` and `cluster.py` for how they do it.
"""
