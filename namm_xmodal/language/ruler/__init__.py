"""RULER (arXiv:2404.06654): thirteen tasks of retrieval, tracking, counting and questions, made at any length.

Templates, answer prefixes, parameters, tokens to generate and metrics are those of the published benchmark. `length` is its
`max_seq_length`: the prompt and the tokens to generate together, in the model's own tokens.

Deviates:
* Essays are passages of the project's text sources, each sample from another place. RULER's are the start of Paul Graham's.
* Haystacks are filled to the token: the first line of noise is cut at its start. RULER leaves up to some hundred tokens.
* Every sample is drawn by itself, from its seed and number. RULER draws all from one stream, shuffles all with one seed and
  shows the same example before every sample of `vt`.
* Word lists are those of the package wonderwords that is installed; newer ones have more nouns.
* Questions of `qa_1` and `qa_2` come from the published files, which the user gives, in random order.
* `fwe` keeps room for its answer as the other tasks do; RULER forgets it there.
"""
