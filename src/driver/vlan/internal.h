/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the VLAN driver share. */
#ifndef DRIVER_VLAN_INTERNAL_H
#define DRIVER_VLAN_INTERNAL_H

#include "base/flowtab.h"
#include "base/slot.h"
#include "driver/vlan/vlan.h"

struct vlan_object {
	handle device;           /* HANDLE_NONE: on its way */
	handle host;             /* the host's; below it is known by a handle of ours */
	struct vlan_stack tags;  /* of all forms, as on the wire */
	struct vlan_stack inner; /* a neighbor's: those that came in an insert */
	struct flow_key flow;    /* a path's without ports */
	u8 port, layer;
	bool known; /* its tags are: all that it hangs on came after the driver */
	bool in_flows;
};

/* A virtual device. */
struct vlan_port {
	struct vlan *v;
	u32 index;
	u32 objects;
	struct vlan_device_config config;
	struct host_side host;
	struct device device;
};

/* A state call whose list was changed on its way down. */
struct vlan_flight {
	struct offload_request *request; /* NULL: free */
	u8 port;
	u8 call;     /* enum block_call */
	u32 *object; /* of each block, NIL: none of ours */
	/* The list's own, while ours are there. */
	struct block_insert *inserts;
	u32 n_inserts, cap_inserts;
	struct block_insert *lent; /* list_blocks of them */
};

struct vlan {
	struct device_chain chain; /* first */
	struct vlan_config config;
	struct vlan_port port[VLAN_DEVICES_MAX];
	struct slots slots;
	struct vlan_object *object;
	struct flowtab by_device, by_flow;
	struct vlan_flight flight[VLAN_FLYING];
	u32 *parents; /* objects of the blocks of a list */
	u8 *scratch;
	struct vlan_counters count;
};

/* -- table.c ----------------------------------------------------------------------------------- */

/* Each call of these on an object of ours; NIL: none. */
u32 vlan_object_take(struct vlan *v, u32 port, u32 layer, handle host);
u32 vlan_object_find(const struct vlan *v, u32 layer, handle device);
u32 vlan_object_of_flow(const struct vlan *v, const struct flow_key *flow);
/* The device below has taken it over under this handle. */
void vlan_object_place(struct vlan *v, u32 index, handle device);
void vlan_object_drop(struct vlan *v, u32 index);
/* What the device below knows it by, and back. */
handle vlan_object_name(const struct vlan *v, u32 index);
u32 vlan_object_named(const struct vlan *v, handle name);
/* Whose is an object of the device below? What is not in the table is virtual device 0's. */
bool vlan_object_is_of(const struct vlan *v, u32 layer, handle device, u32 port);

/* Tags without priorities; what has identifier 0 is a priority and no tag. */
bool vlan_tags_equal(const struct vlan_stack *a, const struct vlan_stack *b);
/* The virtual device that frames with these tags are for: the longest that they begin with; 0 has
 * none, so it is the one of the rest. */
u32 vlan_port_of_tags(const struct vlan *v, const struct vlan_stack *tags);

/* -- calls.c, data.c, frames.c ----------------------------------------------------------------- */

extern const struct layer_ops *const vlan_layer_ops[LAYERS];
extern const struct data_ops vlan_data_ops;
extern const struct frame_ops vlan_frame_ops;
extern const struct host_ops vlan_side_ops;

int vlan_offload(void *port, struct offload_request *request);
int vlan_transfer(void *port, struct offload_request *request);
int vlan_upload(void *port, struct offload_request *request);
void vlan_commit(void *port, struct offload_request *request);
void vlan_complete(void *driver, struct offload_request *request);

static inline struct host_side vlan_host(struct vlan *v, u32 port)
{
	return port ? v->port[port].host : v->chain.above;
}

#endif
