"""The laboratory: real traffic, injected attacks, and every detector judged by the same rules."""
