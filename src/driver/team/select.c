/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which member a flow goes to, and what all of them together can do. */
#include "driver/team/internal.h"

/* Both ends of a flow hash alike, whichever way it is looked at. */
static u64 flow_hash(const struct team *t, const struct ip_addr *local,
                     const struct ip_addr *remote, u16 local_port, u16 remote_port)
{
	struct {
		struct ip_addr local, remote;
		u16 local_port, remote_port;
	} key;

	memset(&key, 0, sizeof(key));
	key.local = *local;
	key.remote = *remote;
	if (t->config.mode == TEAM_HASH_L34) {
		key.local_port = local_port;
		key.remote_port = remote_port;
	}
	return hash_bytes(&t->config.key, &key, sizeof(key));
}

/* Highest random weight: a member that goes or comes changes the place of its own flows only. */
static u64 weight(u64 hash, u32 member)
{
	u64 x = hash ^ (member + 1) * 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static bool is_better(const struct team *t, u32 a, u32 b, u64 hash)
{
	if (t->config.mode == TEAM_ACTIVE_BACKUP)
		return t->member[a].priority < t->member[b].priority;
	return weight(hash, a) > weight(hash, b);
}

static u8 best(const struct team *t, u64 hash, u32 not )
{
	u8 found = NO_MEMBER;

	if (t->config.mode == TEAM_ACTIVE_BACKUP && t->active != NIL && !(not >> t->active & 1) &&
	    t->member[t->active].usable)
		return (u8)t->active;
	for (u32 m = 0; m < t->config.n_members; m++) {
		if (!t->member[m].usable || not >> m & 1)
			continue;
		if (found == NO_MEMBER || is_better(t, m, found, hash))
			found = (u8)m;
	}
	return found;
}

u8 team_select_member(const struct team *t, const struct path_state *path,
                      const struct tcp_const *conn, u32 not )
{
	u64 hash = 0;

	if (t->config.mode != TEAM_ACTIVE_BACKUP)
		hash = flow_hash(t, &path->k.local_addr, &path->k.remote_addr, conn->local_port,
		                 conn->remote_port);
	return best(t, hash, not );
}

u32 team_choose(const struct team *t, const struct ip_addr *local, const struct ip_addr *remote,
                u16 local_port, u16 remote_port)
{
	u8 m = best(t, flow_hash(t, local, remote, local_port, remote_port), 0);

	return m == NO_MEMBER ? NIL : m;
}

void team_select_active(struct team *t)
{
	u32 found = NIL;

	for (u32 m = 0; m < t->config.n_members; m++)
		if (t->member[m].usable &&
		    (found == NIL || t->member[m].priority < t->member[found].priority))
			found = m;
	t->active = found;
}

/* -- capabilities ------------------------------------------------------------------------------ */

static u32 sum(u32 a, u32 b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Limits of one object are those of the smallest member, unless features of any will do: then a
 * member that takes it is looked for. */
static u32 limit(const struct team *t, u32 a, u32 b)
{
	return t->config.features == TEAM_FEATURES_ALL ? min_of(a, b) : max_of(a, b);
}

static void add_member(const struct team *t, struct capabilities *all,
                       const struct capabilities *one)
{
	all->features = t->config.features == TEAM_FEATURES_ALL ? all->features & one->features
	                                                        : all->features | one->features;
#define SUM(name)                                                \
	all->max_##name = sum(all->max_##name, one->max_##name); \
	all->free_##name = sum(all->free_##name, one->free_##name)
	SUM(connections);
	SUM(paths);
	SUM(neighbors);
	SUM(addresses);
	SUM(macs);
	SUM(vlans);
	SUM(small_bufs);
	SUM(large_bufs);
#undef SUM
	all->vlan_depth = limit(t, all->vlan_depth, one->vlan_depth);
	all->max_window_bytes = limit(t, all->max_window_bytes, one->max_window_bytes);
	all->max_mtu_bytes = limit(t, all->max_mtu_bytes, one->max_mtu_bytes);
	all->max_posted_per_connection =
		limit(t, all->max_posted_per_connection, one->max_posted_per_connection);
	all->bytes_per_connection = max_of(all->bytes_per_connection, one->bytes_per_connection);
	all->oversubscription_percent =
		limit(t, all->oversubscription_percent, one->oversubscription_percent);
	all->max_list_blocks = min_of(all->max_list_blocks, one->max_list_blocks);
}

void team_capabilities(void *device, struct capabilities *ret)
{
	struct team *t = device;
	struct capabilities caps;
	bool any = false;

	memset(ret, 0, sizeof(*ret));
	for (u32 m = 0; m < t->config.n_members; m++) {
		struct team_member *member = &t->member[m];

		if (!member->usable || (t->config.mode == TEAM_ACTIVE_BACKUP && m != t->active))
			continue;
		member->device->ops->capabilities(member->device->impl, &caps);
		if (any)
			add_member(t, ret, &caps);
		else
			*ret = caps;
		any = true;
	}
	/* Calls that travel in a request would have to be split with it: posted after it instead.
	 */
	ret->features &= ~(u32)FEATURE_BUFFERS_IN_REQUEST;
	ret->max_connections = min_of(ret->max_connections, t->config.connections);
	ret->free_connections =
		min_of(ret->free_connections, t->config.connections - t->conn_slots.n_taken);
	ret->max_list_blocks = any ? min_of(ret->max_list_blocks, t->config.list_blocks) : 0;
}
