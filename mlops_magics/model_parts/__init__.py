"""Whatever a saved model may refer to, and what puts it together: scikit-learn and numpy, pandas on use.

A class here is never renamed or moved, and no attribute of a fitted one changes its meaning: models that
were saved by earlier releases name them.
"""
