/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the fault injector share. */
#ifndef DRIVER_FILTER_FAULT_INTERNAL_H
#define DRIVER_FILTER_FAULT_INTERNAL_H

#include "driver/filter/fault.h"

extern const struct frame_ops fault_frame_ops;

/* Gives the device the late frames that are due. */
void fault_deliver(struct fault *f, u64 now_ns);

#endif
