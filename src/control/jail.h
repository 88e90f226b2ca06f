/* What jailed processes find in the queue directory. */
#ifndef CONTROL_JAIL_H
#define CONTROL_JAIL_H

/* Copies what the C library reads in /etc, when a row is jailed and the copy is missing
 * or another one. Trouble is logged, and no reason not to start. */
void jail_fill(void);
/* Warns about copies that are not as the originals. */
void jail_check(void);

#endif
