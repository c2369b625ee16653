// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/steering.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/steer.skel.h"
#include "linux/hosttap.h"
#include "linux/tcattach.h"

enum {
	PORTS_MAX = 16,
	TAPS_MAX = 32,
	HOSTTAP_QUEUE_FRAMES = 4096,
};

struct managed_port {
	u32 ifindex;
	struct mac_addr mac;
	struct tcattach in, out, inject;
	struct hosttap tap;
};

struct lane_tap {
	u32 ifindex, port;
	struct tcattach out;
};

struct steering {
	struct steer_bpf *bpf;
	u8 *states;
	size_t states_bytes;
	u32 *free_slots;
	u32 n_free, n_slots;
	struct managed_port ports[PORTS_MAX];
	u32 n_ports;
	struct lane_tap taps[TAPS_MAX];
	u32 n_taps;
};

static int slots_init(struct steering *s, u32 flows)
{
	s->n_slots = flows;
	s->free_slots = calloc(flows, sizeof(*s->free_slots));
	if (!s->free_slots)
		return -ENOMEM;
	for (u32 i = 0; i < flows; i++)
		s->free_slots[i] = flows - 1 - i;
	s->n_free = flows;
	s->states_bytes = (size_t)flows;
	s->states = mmap(NULL, s->states_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	                 bpf_map__fd(s->bpf->maps.states), 0);
	if (s->states == MAP_FAILED) {
		s->states = NULL;
		return -errno;
	}
	return 0;
}

static int programs_load(struct steering *s, u32 flows, const char **ret_step)
{
	u32 mark = 0;
	int err;

	*ret_step = "open steering program";
	s->bpf = steer_bpf__open();
	if (!s->bpf)
		return -errno;
	/* Any value will do that nobody else uses; 0 would be every frame's. */
	while (!mark)
		if (getrandom(&mark, sizeof(mark), 0) != sizeof(mark))
			return -EIO;
	s->bpf->rodata->inject_mark = mark;
	if (getrandom(s->bpf->rodata->resteer_mac, 6, 0) != 6)
		return -EIO;
	s->bpf->rodata->resteer_mac[0] = 2; /* locally administered, for one host */
	err = bpf_map__set_max_entries(s->bpf->maps.flows, flows);
	if (!err)
		err = bpf_map__set_max_entries(s->bpf->maps.states, (flows + 7) / 8);
	*ret_step = "load steering programs (needs CAP_BPF and CAP_NET_ADMIN)";
	return err ? err : steer_bpf__load(s->bpf);
}

int steering_create(u32 flows, struct steering **ret_steering, const char **ret_step)
{
	struct steering *s = calloc(1, sizeof(*s));
	int err;

	*ret_step = "memory";
	if (!s)
		return -ENOMEM;
	err = programs_load(s, flows, ret_step);
	if (!err) {
		*ret_step = "map flow states";
		err = slots_init(s, flows);
	}
	if (err)
		steering_destroy(s);
	else
		*ret_steering = s;
	return err;
}

static void port_close(struct managed_port *p)
{
	tcattach_remove(&p->inject);
	tcattach_remove(&p->out);
	tcattach_remove(&p->in);
	if (p->tap.fd >= 0)
		hosttap_close(&p->tap);
}

void steering_destroy(struct steering *s)
{
	for (u32 i = 0; i < s->n_taps; i++)
		tcattach_remove(&s->taps[i].out);
	for (u32 i = 0; i < s->n_ports; i++)
		port_close(&s->ports[i]);
	if (s->states)
		munmap(s->states, s->states_bytes);
	free(s->free_slots);
	steer_bpf__destroy(s->bpf);
	free(s);
}

static int port_mac(u32 ifindex, struct mac_addr *ret_mac)
{
	struct ifreq ifr = {0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (s < 0)
		return -errno;
	if (!if_indextoname(ifindex, ifr.ifr_name) || ioctl(s, SIOCGIFHWADDR, &ifr) < 0)
		err = -errno;
	else
		memcpy(ret_mac->b, ifr.ifr_hwaddr.sa_data, sizeof(ret_mac->b));
	close(s);
	return err;
}

static int port_note(struct steering *s, u32 key, u32 port, u32 host_tap)
{
	struct port_value v = {.port = port, .host_tap = host_tap};

	return bpf_map_update_elem(bpf_map__fd(s->bpf->maps.ports), &key, &v, BPF_ANY) ? -errno : 0;
}

static int port_open(struct steering *s, struct managed_port *p, u32 ifindex)
{
	struct steer_bpf *b = s->bpf;
	int err;

	memset(p, 0, sizeof(*p));
	p->tap.fd = -1;
	p->ifindex = ifindex;
	tcattach_init(&p->in);
	tcattach_init(&p->out);
	tcattach_init(&p->inject);
	err = port_mac(ifindex, &p->mac);
	if (!err)
		err = hosttap_open(&p->tap, HOSTTAP_QUEUE_FRAMES);
	if (!err)
		err = port_note(s, p->tap.ifindex, ifindex, 0);
	if (!err)
		err = port_note(s, ifindex, ifindex, p->tap.ifindex);
	if (!err)
		err = tcattach_add(&p->inject, b->progs.inject, p->tap.ifindex, TCATTACH_INGRESS);
	if (!err)
		err = tcattach_add(&p->out, b->progs.steer_out, ifindex, TCATTACH_EGRESS);
	if (!err)
		err = tcattach_add(&p->in, b->progs.steer_in, ifindex, TCATTACH_INGRESS);
	if (err)
		port_close(p);
	return err;
}

static struct managed_port *port_find(const struct steering *s, u32 ifindex)
{
	for (u32 i = 0; i < s->n_ports; i++)
		if (s->ports[i].ifindex == ifindex)
			return (struct managed_port *)&s->ports[i];
	return NULL;
}

int steering_add_port(struct steering *s, u32 ifindex)
{
	int err;

	if (port_find(s, ifindex))
		return -EEXIST;
	if (s->n_ports == PORTS_MAX)
		return -ENOSPC;
	err = port_open(s, &s->ports[s->n_ports], ifindex);
	if (!err)
		s->n_ports++;
	return err;
}

int steering_add_tap(struct steering *s, u32 tap_ifindex, u32 port_ifindex)
{
	struct lane_tap *t = &s->taps[s->n_taps];
	int err;

	if (s->n_taps == TAPS_MAX)
		return -ENOSPC;
	t->ifindex = tap_ifindex;
	t->port = port_ifindex;
	tcattach_init(&t->out);
	err = port_note(s, tap_ifindex, port_ifindex, 0);
	if (!err)
		err = tcattach_add(&t->out, s->bpf->progs.lane_out, tap_ifindex, TCATTACH_INGRESS);
	if (!err)
		s->n_taps++;
	return err;
}

void steering_remove_port(struct steering *s, u32 ifindex)
{
	struct managed_port *p = port_find(s, ifindex);

	if (!p)
		return;
	for (u32 i = 0; i < s->n_taps;) {
		if (s->taps[i].port != ifindex) {
			i++;
			continue;
		}
		tcattach_remove(&s->taps[i].out);
		s->taps[i] = s->taps[--s->n_taps];
	}
	bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.ports), &ifindex);
	port_close(p);
	*p = s->ports[--s->n_ports];
}

struct hosttap *steering_hosttap(struct steering *s, u32 port_ifindex)
{
	struct managed_port *p = port_find(s, port_ifindex);

	return p ? &p->tap : NULL;
}

u32 steering_ports(const struct steering *s)
{
	return s->n_ports;
}

u32 steering_port_at(const struct steering *s, u32 i)
{
	return s->ports[i].ifindex;
}

void steering_port_mac(const struct steering *s, u32 ifindex, struct mac_addr *ret_mac)
{
	const struct managed_port *p = port_find(s, ifindex);

	memset(ret_mac, 0, sizeof(*ret_mac));
	if (p)
		*ret_mac = p->mac;
}

u32 steering_slot_alloc(struct steering *s)
{
	return s->n_free ? s->free_slots[--s->n_free] : NIL;
}

void steering_slot_free(struct steering *s, u32 slot)
{
	steering_state_set(s->states, slot, FLOW_FREE);
	s->free_slots[s->n_free++] = slot;
}

u8 *steering_states(struct steering *s)
{
	return s->states;
}

int steering_enter(struct steering *s, const struct steer_key *keys,
                   const struct steer_value *values, u32 n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	u32 count = n;

	if (!n)
		return 0;
	return bpf_map_update_batch(bpf_map__fd(s->bpf->maps.flows), keys, values, &count, &opts)
	               ? -errno
	               : 0;
}

int steering_remove(struct steering *s, const struct steer_key *keys, u32 n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	u32 done = 0;

	while (done < n) {
		u32 count = n - done;

		if (!bpf_map_delete_batch(bpf_map__fd(s->bpf->maps.flows), keys + done, &count,
		                          &opts))
			return 0;
		if (errno != ENOENT)
			return -errno;
		done += count + 1; /* the one that is not there stopped it */
	}
	return 0;
}

int steering_resteer(struct steering *s, struct hosttap *tap, const u8 *frame, u32 len)
{
	u8 *copy = malloc(len);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, frame, len);
	/* The source address tells the program that this frame is to be steered. */
	memcpy(copy + 6, (const void *)s->bpf->rodata->resteer_mac, 6);
	err = hosttap_inject_bytes(tap, copy, len, false);
	free(copy);
	return err;
}

void steering_counters(struct steering *s, u64 ret_counters[STEER_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus();
	u64 *values = calloc((size_t)(cpus > 0 ? cpus : 1), sizeof(*values));

	memset(ret_counters, 0, STEER_COUNTERS * sizeof(*ret_counters));
	for (u32 i = 0; values && i < STEER_COUNTERS; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(s->bpf->maps.counters), &i, values))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			ret_counters[i] += values[cpu];
	}
	free(values);
}

int steering_flows_fd(const struct steering *s)
{
	return bpf_map__fd(s->bpf->maps.flows);
}

int steering_states_fd(const struct steering *s)
{
	return bpf_map__fd(s->bpf->maps.states);
}

int steering_counters_fd(const struct steering *s)
{
	return bpf_map__fd(s->bpf->maps.counters);
}
