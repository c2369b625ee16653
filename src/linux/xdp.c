// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/xdp.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "bpf/xdp.skel.h"
#include "linux/steering.h"

int xdp_program_load(const struct steering *s, struct xdp_program **ret_program)
{
	struct xdp_bpf *bpf = xdp_bpf__open();
	int err;

	if (!bpf)
		return -errno;
	err = bpf_map__set_inner_map_fd(bpf->maps.queue_flows, steering_flows_fd(s));
	if (!err)
		err = bpf_map__set_inner_map_fd(bpf->maps.queue_states, steering_states_fd(s));
	if (!err)
		err = bpf_map__reuse_fd(bpf->maps.counters, steering_counters_fd(s));
	if (!err)
		err = xdp_bpf__load(bpf);
	if (err) {
		xdp_bpf__destroy(bpf);
		return err;
	}
	*ret_program = (struct xdp_program *)bpf;
	return 0;
}

int xdp_program_serve(struct xdp_program *p, u32 queue, const struct steering *s)
{
	const struct xdp_bpf *bpf = (const struct xdp_bpf *)p;
	int flows = steering_flows_fd(s), states = steering_states_fd(s);

	if (bpf_map_update_elem(bpf_map__fd(bpf->maps.queue_flows), &queue, &flows, BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(bpf->maps.queue_states), &queue, &states, BPF_ANY))
		return -errno;
	return 0;
}

void xdp_program_unload(struct xdp_program *p)
{
	xdp_bpf__destroy((struct xdp_bpf *)p);
}

int xdp_program_fd(const struct xdp_program *p)
{
	return bpf_program__fd(((const struct xdp_bpf *)p)->progs.steer_xdp);
}

int xdp_program_xsks_fd(const struct xdp_program *p)
{
	return bpf_map__fd(((const struct xdp_bpf *)p)->maps.xsks);
}

/* One ethtool request about an interface; false: its driver does not answer. */
static bool ethtool(u32 ifindex, void *request)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	ifr.ifr_data = request;
	ok = if_indextoname(ifindex, ifr.ifr_name) && ioctl(fd, SIOCETHTOOL, &ifr) == 0;
	close(fd);
	return ok;
}

u32 xdp_queues(u32 ifindex)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
	u32 n = ethtool(ifindex, &c) ? c.rx_count + c.combined_count : 1;

	return n ? n : 1;
}

bool xdp_link_is_local(u32 ifindex)
{
	struct ethtool_drvinfo d = {.cmd = ETHTOOL_GDRVINFO};

	return ethtool(ifindex, &d) && !strcmp(d.driver, "veth");
}
