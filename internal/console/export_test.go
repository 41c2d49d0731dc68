package console

// Policy is what pages may load and do.
const Policy = policy
