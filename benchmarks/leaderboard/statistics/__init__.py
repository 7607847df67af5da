"""How sure a table can be of its numbers: stratified bootstrap, and what is computed over a suite of tasks.

After Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS 2021), and Gorsane
et al., Towards a Standardised Performance Evaluation Protocol for Cooperative MARL (NeurIPS 2022). All code is ours,
and departs from theirs where tasks have different numbers of runs: there every task counts the same.

Letters: K tasks, n_k runs of the k-th, N their sum, R replicates, P points of a curve or profile.
"""
