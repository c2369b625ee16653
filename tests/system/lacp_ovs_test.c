// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Link aggregation with an implementation that is not ours: Open vSwitch's userspace bond (package
 * openvswitch-switch). Its daemons run in the far namespace, with files in a directory of the
 * test's own, and end with it. Their states are read by its own tool.
 */
#include "links_env.h"

#include <fcntl.h>

#define BIT(cause) (1u << (cause))

static char dir[] = "/tmp/chimney-ovs-XXXXXX";
static pid_t database, vswitch;

static void need(const char *program)
{
	char line[128];

	snprintf(line, sizeof(line), "command -v %s >/dev/null", program);
	if (system(line) == 0)
		return;
	printf("needs Open vSwitch: there is no %s (package openvswitch-switch)\n", program);
	exit(77);
}

/* Runs in the far namespace; its process is the daemon itself, nsenter makes no other. */
static pid_t daemon_start(const char *name, const char *arg, const char *remote)
{
	char pid_arg[16], control[64], log[64];
	pid_t pid;

	snprintf(pid_arg, sizeof(pid_arg), "%d", (int)far);
	snprintf(control, sizeof(control), "--unixctl=%s/%s.ctl", dir, name);
	snprintf(log, sizeof(log), "%s/%s.log", dir, name);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 1);
		dup2(fd, 2);
		execlp("nsenter", "nsenter", "-t", pid_arg, "-n", name, arg, control, remote, NULL);
		_exit(1);
	}
	return pid;
}

static void daemon_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static void wait_for_file(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (u32 ms = 0; ms < PATIENCE_MS; ms += 20) {
		if (access(path, F_OK) == 0)
			return;
		usleep(20000);
	}
	fail_msg("%s did not come", path);
}

static int before(void **state)
{
	char db[64], remote[64];

	far_make();
	assert_non_null(mkdtemp(dir));
	for (u32 i = 0; i < 4; i++) {
		static const char *const names[] = {"RUN", "LOG", "DB", "SYSCONF"};
		char name[32];

		snprintf(name, sizeof(name), "OVS_%sDIR", names[i]);
		setenv(name, dir, 1);
	}
	snprintf(db, sizeof(db), "%s/conf.db", dir);
	snprintf(remote, sizeof(remote), "--remote=punix:%s/db.sock", dir);
	shell("ovsdb-tool create %s /usr/share/openvswitch/vswitch.ovsschema", db);
	database = daemon_start("ovsdb-server", db, remote);
	wait_for_file("db.sock");
	snprintf(remote, sizeof(remote), "unix:%s/db.sock", dir);
	vswitch = daemon_start("ovs-vswitchd", "--disable-system", remote);
	wait_for_file("ovs-vswitchd.ctl");
	shell("ovs-vsctl --timeout=60 --db=%s init -- add-br br0 -- set bridge br0 "
	      "datapath_type=netdev -- add-bond br0 bond0 b0 b1 lacp=active bond_mode=balance-tcp "
	      "other_config:lacp-time=fast",
	      remote);
	return 0;
}

static int after(void **state)
{
	daemon_end(&vswitch);
	daemon_end(&database);
	far_end();
	shell("rm -r %s", dir);
	return 0;
}

/* Until what Open vSwitch says of one of its links has `what` in it, or has it no more. */
static void wait_ovs(const char *link, const char *what, bool there)
{
	char line[512];

	snprintf(line, sizeof(line),
	         "ovs-appctl -t %s/ovs-vswitchd.ctl lacp/show bond0 | awk '/^(slave|member): /"
	         "{mine = $2 == \"%s:\"} mine' | grep -q '%s'",
	         dir, link, what);
	for (u32 ms = 0; ms < PATIENCE_MS; ms += 100) {
		if ((system(line) == 0) == there)
			return;
		usleep(100000);
	}
	shell("ovs-appctl -t %s/ovs-vswitchd.ctl lacp/show bond0", dir);
	fail_msg("%s: %s \"%s\"", link, there ? "never" : "always", what);
}

static void wait_both_carry(struct watched *w, const char *link, u32 i)
{
	static const char all[] = "synchronized collecting distributing";
	char text[96];

	wait_for(w, i, 0);
	wait_ovs(link, "current attached", true);
	snprintf(text, sizeof(text), "actor state:.*%s", all);
	wait_ovs(link, text, true);
	snprintf(text, sizeof(text), "partner state:.*%s", all);
	wait_ovs(link, text, true);
}

static void with_open_vswitch(void **state)
{
	struct links_config config = links_of("a", true);
	struct watched w;
	struct lacp lacp;

	watch(&w, &config);
	wait_both_carry(&w, "b0", 0);
	wait_both_carry(&w, "b1", 1);
	wait_ovs("b0", "partner sys_id: 02:00:00:00:00:61", true);
	wait_ovs("b1", "partner key: 7", true);
	links_lacp(w.links, &lacp);
	assert_int_equal(lacp.port[0].rx, LACP_RX_CURRENT);
	assert_int_equal(lacp.port[0].partner.state & LACP_DISTRIBUTING, LACP_DISTRIBUTING);

	/* We take a link out: they see it out of sync while they still hear from us. */
	links_hold(w.links, 0, true);
	wait_for(&w, 0, BIT(TEAM_ADMIN) | BIT(TEAM_LACP));
	wait_ovs("b0", "partner state:.*synchronized", false);
	assert_int_equal(w.down[1], 0);
	links_hold(w.links, 0, false);
	wait_both_carry(&w, "b0", 0);

	/* A link is cut at their side, then at ours. */
	shell("nsenter -t %d -n ip link set b0 down", (int)far);
	wait_for(&w, 0, BIT(TEAM_CARRIER) | BIT(TEAM_LACP));
	wait_ovs("b0", "current attached", false);
	assert_int_equal(w.down[1], 0);
	shell("nsenter -t %d -n ip link set b0 up", (int)far);
	wait_both_carry(&w, "b0", 0);
	shell("ip link set a1 down");
	wait_for(&w, 1, BIT(TEAM_CARRIER) | BIT(TEAM_LACP));
	wait_ovs("b1", "current attached", false);
	shell("ip link set a1 up");
	wait_both_carry(&w, "b1", 1);

	/* The other end dies; the links have carrier all the time. */
	daemon_end(&vswitch);
	wait_for(&w, 0, BIT(TEAM_LACP));
	wait_for(&w, 1, BIT(TEAM_LACP));
	links_stop(w.links);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(with_open_vswitch, before, after),
	};

	need("ovsdb-tool");
	need("ovsdb-server");
	need("ovs-vswitchd");
	need("ovs-vsctl");
	need("ovs-appctl");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
