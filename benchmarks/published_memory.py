"""Memory that the published NAMM code holds beside the cache, by its own data structures (analytic, bytes)."""


def published_bytes(tokens: int, layers: int, query_heads: int, kv_heads: int, item: int) -> int:
    """What that code keeps for `tokens` visible tokens.

    Attention maps of a 128-token chunk of all layers, the buffer of 512 attention rows of all query heads, the 512 rows of
    the window before per kv head, the averaged spectrum in float32, and the float32 mask of its scoring network.

    Args:
        tokens: Visible tokens.
        layers: Layers of the model.
        query_heads: Query heads.
        kv_heads: Key-value heads.
        item: Bytes per number of the model's dtype.
    """
    chunk = layers * query_heads * 128 * tokens * item
    rows = layers * query_heads * 512 * tokens * item
    before = layers * kv_heads * 512 * tokens * item
    spectrum = layers * kv_heads * tokens * 17 * 4
    mask = tokens * tokens * 4
    return chunk + rows + before + spectrum + mask
