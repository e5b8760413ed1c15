"""The bench: which policy deserves trust, measured on real fine-tuning.

A *task* is a pretrained model, data in three parts and a budget; a *policy* gets the first two
parts through a `Lab` that counts what it spends, and hands back a model; the runner alone opens the
test part, once, to score it.
"""
