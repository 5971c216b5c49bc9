"""What is wrong with a day's money, and what people are told of it."""
