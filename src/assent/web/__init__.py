"""The pages: sign-in, judging, administration. Routes are thin; the rules live in `feedback` and `store`."""
