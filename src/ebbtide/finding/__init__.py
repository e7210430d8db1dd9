"""What a person is told: findings with identity, risk, annotations and the evidence that repeats them. Pure."""
