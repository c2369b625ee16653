/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * VLANs: one device below is shown as several virtual devices above, each with a host of its own
 * (patent 0116, 0137, 0138; R93, R94, R104, R115). What is offloaded through a virtual device
 * leaves with its tags (IEEE 802.1Q, 802.1ad: up to two); what arrives goes to a connection only
 * when it has exactly that connection's tags. A host can name, query, change and upload its own
 * objects only, and is told of nothing else.
 *
 * Virtual device 0 has no tags: it stands in the place of the device below, for the host that was
 * there before. Its objects stay what they are, so the driver can be inserted while connections
 * live, and removed when the others have none.
 *
 * The tags travel in one of two forms (R93). VLAN_FIELD: in front of those of the neighbor's CONST
 * part. VLAN_INSERT: as an insert of kind BLOCK_INSERT_VLAN behind the neighbor's block, for
 * another VLAN driver further down, which uses it up and puts it back on the way up. In both forms
 * the host gets back the list that it sent. Inserts of other kinds are carried through.
 *
 * One flow (addresses and ports) can be offloaded by one virtual device at a time: the device below
 * refuses the second, which stays in its host.
 *
 * Pure core; belongs to one lane.
 */
#ifndef DRIVER_VLAN_VLAN_H
#define DRIVER_VLAN_VLAN_H

#include "base/hash.h"
#include "offload/chain.h"

enum {
	VLAN_DEVICES_MAX = 16,
	VLAN_FLYING = 16, /* state calls with tags that are on their way at once */
};

enum vlan_form {
	VLAN_FIELD,
	VLAN_INSERT,
};

struct vlan_device_config {
	struct vlan_stack tags; /* outermost first, with priority bits; tags[0] has none */
	u8 form;                /* enum vlan_form */
};

struct vlan_config {
	u32 n; /* virtual devices, the one without tags included */
	struct vlan_device_config device[VLAN_DEVICES_MAX];
	u32 objects;     /* neighbors, paths and connections of all virtual devices */
	u32 list_blocks; /* the longest list */
	u16 id;          /* 1 to 0x7fff, other than that of each VLAN driver in the same chain */
	struct buf_pool *pool; /* of the frames */
	struct hash_key key;
};

struct vlan_counters {
	u64 frames[VLAN_DEVICES_MAX]; /* given to the device below for this virtual device */
	u64 to_host;                  /* frames with tags that nobody has */
	u64 isolated; /* frames for a connection, with other tags than it has: the host's */
	u64 foreign;  /* calls that named an object of another virtual device */
};

struct vlan;

/* Bytes of memory, 64-aligned; 0: the configuration makes no sense (tags twice, tags of device 0,
 * a VLAN identifier that is 0 or 4095, more tags than VLAN_DEPTH_MAX). */
size_t vlan_bytes(const struct vlan_config *config);

/* Lays a driver into `mem` (vlan_bytes(), the caller's). NULL: as above. */
struct vlan *vlan_init(void *mem, const struct vlan_config *config);

/* In front of a device; what the hook shows then is virtual device 0. -EINVAL. */
int vlan_insert(struct vlan *v, struct device *hook) MUST_CHECK;

/* -EBUSY: a virtual device other than 0 has objects, a call with tags is on its way, or a driver
 * was inserted above. */
int vlan_remove(struct vlan *v) MUST_CHECK;

/* A virtual device other than 0; its host attaches to it. Its frame side sees the frames with its
 * own tags only; a lane calls that of virtual device 0, which sees all. Stays where it is. */
struct device *vlan_device(struct vlan *v, u32 index);

void vlan_counters(const struct vlan *v, struct vlan_counters *ret);

#endif
