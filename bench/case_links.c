/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How soon a team's links thread tells that the carrier is gone: from just before the other end of
 * a veth is taken down until the reader has the change. In a network namespace of the case's own.
 */
#include "cases.h"
#include "linux/links.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 5000 };

struct links_case {
	int home, control; /* the namespace to go back to, a socket for ioctl */
	struct links *links;
};

static int carrier_setup(struct bench_run *run)
{
	struct links_case *c = run->state = calloc(1, sizeof(*c));
	struct links_config config = {.n = 1};
	char why[LINKS_WHY_BYTES];
	int err;

	if (!c)
		return bench_fail(run, -ENOMEM, "no memory");
	c->control = -1;
	c->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (c->home < 0 || unshare(CLONE_NEWNET))
		return bench_fail(run, -EPERM, "needs root, for a network namespace");
	if (system("ip link add a0 type veth peer name b0 && ip link set a0 up && "
	           "ip link set b0 up"))
		return bench_fail(run, -EIO, "no veth: ip (package iproute2) failed");
	config.ifindex[0] = if_nametoindex("a0");
	c->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->control < 0)
		return bench_fail(run, -errno, "no socket");
	err = links_start(&config, &c->links, why);
	return err ? bench_fail(run, err, "%s", why) : 0;
}

/* Takes the other end down or up and waits until that is told. */
static int turn_to(struct links_case *c, bool up)
{
	struct ifreq ifr = {.ifr_name = "b0", .ifr_flags = up ? IFF_UP : 0};
	struct pollfd p = {.fd = links_fd(c->links), .events = POLLIN};
	struct links_change change;

	if (ioctl(c->control, SIOCSIFFLAGS, &ifr))
		return -errno;
	for (;;) {
		if (links_changes(c->links, &change, 1) && change.up == up)
			return 0;
		if (poll(&p, 1, WAIT_MS) == 0)
			return -ETIMEDOUT;
	}
}

static int carrier_ours(struct bench_run *run, double *ret_value)
{
	struct links_case *c = run->state;
	u64 start = bench_now_ns();
	int err = turn_to(c, false);

	*ret_value = (double)(bench_now_ns() - start) / 1e6;
	err = err ? err : turn_to(c, true);
	return err ? bench_fail(run, err, "the change was not told") : 0;
}

static void carrier_teardown(struct bench_run *run)
{
	struct links_case *c = run->state;

	if (!c)
		return;
	if (c->links)
		links_stop(c->links);
	if (c->control >= 0)
		close(c->control);
	if (c->home >= 0) {
		if (setns(c->home, CLONE_NEWNET))
			bench_note(run, "could not go back to the first network namespace");
		close(c->home);
	}
	free(c);
}

static const struct bench_case cases[] = {
	{.name = "team/carrier",
         .unit = "ms",
         .setup = carrier_setup,
         .ours = carrier_ours,
         .teardown = carrier_teardown},
};

const struct bench_table bench_links_cases = {cases, ARRAY_SIZE(cases)};
