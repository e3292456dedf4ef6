"""The paper's questions, in numbers: what it says, what the runs say, and what follows. No figures and no languages."""
