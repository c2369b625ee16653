/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Making and reading requests of offload/offload.h. */
#ifndef OFFLOAD_REQUEST_H
#define OFFLOAD_REQUEST_H

#include "offload/offload.h"

/* A request for one call on one list, with no needs and nothing posted. */
void offload_request_init(struct offload_request *request, enum block_call call,
                          struct block_list *list, u64 cookie);

/* A layer of the host appends what it needs, top first (R107). -ENOSPC: all layers did. */
int offload_request_need(struct offload_request *request,
                         const struct offload_needs *needs) MUST_CHECK;

/* Sum of what the layers need; numbers stop at UINT32_MAX, features are united. */
void offload_request_total(const struct offload_request *request, struct offload_needs *ret);

/* The status, with detail 0, to every block that the arrays hold; links are not followed. */
void offload_list_set_status(struct block_list *list, enum status status);

/* How many blocks have the status. */
u32 offload_list_count(const struct block_list *list, enum status status);

#endif
