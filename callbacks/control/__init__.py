"""What changes while a model trains: the rate, the momentum, numbers and weights of losses."""
