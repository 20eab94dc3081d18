"""How the models that ship with the package were trained: `namm-xmodal prepare rl` and `prepare video`."""
