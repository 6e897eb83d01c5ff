"""Deliberately broken components, one for every check of the conformance kit, and good ones beside them, by noun.

Each module holds ``GOOD``, subjects that pass every check that concerns them, and ``BROKEN``, for every check of the
noun a subject that this check must reject. Some have ``MORE``: pairs of a check's name and a further subject for it.
"""
