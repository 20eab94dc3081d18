"""Questions about videos: what is decoded and encoded once is shared by all arms."""
