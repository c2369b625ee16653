/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `chimney sim`: deterministic simulation. */
#ifndef CLI_SIM_H
#define CLI_SIM_H

int sim_main(int argc, char **argv);

#endif
