"""What of the PyTorch adapter has to be Python: the hooks.

- ``hooks``: which calls of torch are watched.
- ``watcher``: what is told of them, step by step.
- ``look``: every operation of a step that is looked at closely.
- ``guarding``, ``wrapping``, ``steps``, ``states``, ``blame``, ``saving``, ``finite``: a guard that keeps the training alive.
- ``restart``: states of a long training, with which a re-run begins in its middle.
- ``samples``: which samples a batch was made of.
- ``places``: the user's own line.
- ``memory``: a tensor as the native half reads it.
"""
