/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the fake world share. */
#ifndef HOST_FAKE_PRIV_H
#define HOST_FAKE_PRIV_H

#include "host_fake.h"

extern const struct backend_ops fake_backend_ops;

/* An empty device, its tables in place. */
void fake_set_up_device(struct fake *f);
void fake_free_conn(struct fake *f, handle h);

#endif
