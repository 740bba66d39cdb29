"""The prediction log: what was answered to whom, kept for drift checks, feedback and retraining."""
