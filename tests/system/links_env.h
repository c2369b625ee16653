/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two veth links, a0-b0 and a1-b1, between this process's namespace and that of a child;
 * links_start() at our ends, and what its reader was told. Everything is gone with the processes.
 */
#ifndef LINKS_ENV_H
#define LINKS_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/links.h"

enum { LINKS = 2, PATIENCE_MS = 60000 };

struct watched {
	struct links *links;
	u32 down[LINKS]; /* as told */
	u64 at_ns[LINKS][TEAM_CAUSES];
};

static pid_t far;

__attribute__((format(printf, 1, 2))) static inline void shell(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("failed: %s", line);
}

static inline void far_make(void)
{
	int ready[2];
	char c = 0;

	if (geteuid() != 0 || unshare(CLONE_NEWNET)) {
		printf("needs root, for network namespaces\n");
		exit(77);
	}
	assert_int_equal(pipe(ready), 0);
	far = fork();
	assert_true(far >= 0);
	if (far == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	shell("nsenter -t %d -n ip link set lo up", (int)far);
	for (int i = 0; i < LINKS; i++)
		shell("ip link add a%d type veth peer name b%d netns %d && ip link set a%d up && "
		      "nsenter -t %d -n ip link set b%d up",
		      i, i, (int)far, i, (int)far, i);
}

static inline void far_end(void)
{
	kill(far, SIGKILL);
	waitpid(far, NULL, 0);
	for (int i = 0; i < LINKS; i++)
		(void)!system(i ? "ip link del a1 2>/dev/null" : "ip link del a0 2>/dev/null");
}

static inline struct links_config links_of(const char *prefix, bool with_lacp)
{
	struct links_config c = {.n = LINKS, .with_lacp = with_lacp};

	for (u32 i = 0; i < LINKS; i++) {
		char name[IF_NAMESIZE];

		snprintf(name, sizeof(name), "%s%u", prefix, i);
		c.ifindex[i] = if_nametoindex(name);
		assert_true(c.ifindex[i] > 0);
	}
	c.lacp = (struct lacp_config){
		.system = {{2, 0, 0, 0, 0, (u8)prefix[0]}}, .key = 7, .active = true, .fast = true};
	return c;
}

static inline void watch(struct watched *w, const struct links_config *config)
{
	char why[LINKS_WHY_BYTES] = "";

	memset(w, 0, sizeof(*w));
	if (links_start(config, &w->links, why))
		fail_msg("%s", why);
}

static inline void hear(struct watched *w)
{
	struct links_change change[3]; /* fewer than there may be */
	u32 n;

	do {
		n = links_changes(w->links, change, ARRAY_SIZE(change));
		for (u32 i = 0; i < n; i++) {
			u32 *down = &w->down[change[i].link];

			assert_true((*down >> change[i].cause & 1) == change[i].up);
			*down ^= 1u << change[i].cause;
			w->at_ns[change[i].link][change[i].cause] = change[i].at_ns;
		}
	} while (n);
}

/* Until exactly these causes hold on a link. */
static inline void wait_for(struct watched *w, u32 link, u32 down)
{
	for (u32 ms = 0; ms < PATIENCE_MS; ms += 100) {
		struct pollfd p = {.fd = links_fd(w->links), .events = POLLIN};

		hear(w);
		if (w->down[link] == down)
			return;
		poll(&p, 1, 100);
	}
	fail_msg("link %u: causes %x, not %x", link, w->down[link], down);
}

#endif
