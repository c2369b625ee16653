// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Each detector of links alone, and link aggregation between two of ours. R87. */
#include "links_env.h"

#define BIT(cause) (1u << (cause))

static int before(void **state)
{
	far_make();
	return 0;
}

static int after(void **state)
{
	far_end();
	return 0;
}

static void carrier(void **state)
{
	struct links_config config = links_of("a", false);
	struct watched w;

	shell("nsenter -t %d -n ip link set b1 down", (int)far);
	watch(&w, &config);
	hear(&w);
	assert_int_equal(w.down[0], 0);
	assert_int_equal(w.down[1], BIT(TEAM_CARRIER)); /* known at the start */
	shell("nsenter -t %d -n ip link set b1 up", (int)far);
	wait_for(&w, 1, 0);
	shell("nsenter -t %d -n ip link set b0 down", (int)far);
	wait_for(&w, 0, BIT(TEAM_CARRIER));
	assert_int_equal(w.down[1], 0);
	shell("ip link del a1");
	wait_for(&w, 1, BIT(TEAM_CARRIER));
	links_stop(w.links);
}

static void administrator(void **state)
{
	struct links_config config = links_of("a", false);
	struct watched w;

	watch(&w, &config);
	wait_for(&w, 0, 0);
	links_hold(w.links, 0, true);
	wait_for(&w, 0, BIT(TEAM_ADMIN));
	assert_int_equal(w.down[1], 0);
	links_hold(w.links, 0, false);
	wait_for(&w, 0, 0);
	links_stop(w.links);
}

static void probe_with(const struct probe_config *probe, const char *addr)
{
	struct links_config config = links_of("a", false);
	struct watched w;

	config.probe = *probe;
	shell("nsenter -t %d -n ip addr add %s dev b0", (int)far, addr);
	watch(&w, &config);
	wait_for(&w, 1, BIT(TEAM_PROBE)); /* the address is not behind this one */
	wait_for(&w, 0, 0);
	shell("nsenter -t %d -n ip addr del %s dev b0", (int)far, addr);
	wait_for(&w, 0, BIT(TEAM_PROBE)); /* the carrier is there all the time */
	shell("nsenter -t %d -n ip addr add %s dev b0", (int)far, addr);
	wait_for(&w, 0, 0);
	links_stop(w.links);
}

static void probe_arp(void **state)
{
	struct probe_config probe = {.target = {{[10] = 255, 255, 10, 8, 0, 2}},
	                             .interval_ns = 50 * NS_PER_MS};

	shell("nsenter -t %d -n sysctl -qw net.ipv4.conf.all.arp_ignore=1", (int)far);
	probe_with(&probe, "10.8.0.2/24");
	probe.source = (struct ip_addr){{[10] = 255, 255, 10, 8, 0, 1}};
	shell("nsenter -t %d -n ip addr flush dev b0 scope global", (int)far);
	probe_with(&probe, "10.8.0.2/24");
}

static void probe_nd(void **state)
{
	struct probe_config probe = {.target = {{[0] = 0xfd, 8, [15] = 2}},
	                             .source = {{[0] = 0xfd, 8, [15] = 1}},
	                             .interval_ns = 50 * NS_PER_MS};

	shell("nsenter -t %d -n sysctl -qw net.ipv6.conf.b0.accept_dad=0", (int)far);
	probe_with(&probe, "fd08::2/64");
}

/* One end holds a link: both have it out, for reasons of their own. */
static void held_at_one_end(struct watched *near, struct watched *other)
{
	links_hold(other->links, 0, true);
	wait_for(other, 0, BIT(TEAM_ADMIN) | BIT(TEAM_LACP));
	wait_for(near, 0, BIT(TEAM_LACP));
	links_hold(other->links, 0, false);
	wait_for(near, 0, 0);
	wait_for(other, 0, 0);
}

/* Our own against our own: who speaks first and how often does not matter. */
static void aggregation(void **state)
{
	shell("ip link del a0; ip link del a1");
	for (int i = 0; i < LINKS; i++)
		shell("ip link add a%d type veth peer name b%d && ip link set a%d up && ip link "
		      "set "
		      "b%d up",
		      i, i, i, i);
	for (u32 way = 0; way < 2; way++) {
		struct links_config a = links_of("a", true), b = links_of("b", true);
		struct watched near, other;
		struct lacp lacp;

		b.lacp.active = way == 0;
		b.lacp.fast = way == 1;
		watch(&near, &a);
		watch(&other, &b);
		for (u32 i = 0; i < LINKS; i++) {
			wait_for(&near, i, 0);
			wait_for(&other, i, 0);
		}
		links_lacp(near.links, &lacp);
		assert_memory_equal(&lacp.partner, &b.lacp.system, sizeof(lacp.partner));
		if (way == 0)
			held_at_one_end(&near, &other);
		/* The other end falls silent: no carrier is lost, LACP alone finds it. */
		links_stop(other.links);
		wait_for(&near, 0, BIT(TEAM_LACP));
		wait_for(&near, 1, BIT(TEAM_LACP));
		links_lacp(near.links, &lacp);
		assert_true(lacp.port[0].counters.expired > 0);
		links_stop(near.links);
	}
}

static void refused(void **state)
{
	struct links_config config = links_of("a", true);
	char why[LINKS_WHY_BYTES];
	struct links *l = NULL;

	config.ifindex[1] = 99999;
	assert_true(links_start(&config, &l, why) < 0);
	assert_non_null(strstr(why, "Link 1"));
	assert_non_null(strstr(why, "99999"));
	config = links_of("a", false);
	config.probe.target = (struct ip_addr){{0xfd, [15] = 1}};
	assert_true(links_start(&config, &l, why) < 0);
	assert_non_null(strstr(why, "source address"));
	config.n = 0;
	assert_true(links_start(&config, &l, why) < 0);
	config.n = LACP_PORTS_MAX + 1;
	assert_true(links_start(&config, &l, why) < 0);
	assert_null(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(carrier, before, after),
		cmocka_unit_test_setup_teardown(administrator, before, after),
		cmocka_unit_test_setup_teardown(probe_arp, before, after),
		cmocka_unit_test_setup_teardown(probe_nd, before, after),
		cmocka_unit_test_setup_teardown(aggregation, before, after),
		cmocka_unit_test_setup_teardown(refused, before, after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
