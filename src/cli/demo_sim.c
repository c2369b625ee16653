#include "cli/demo.h"
#include <errno.h>
int demo_run_sim(const struct demo_options *options, struct demo_outcome *outcome) { return -ENOSYS; }
