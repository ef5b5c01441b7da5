/* A record as a JSON object. */
#ifndef WEIR_CLI_ENVELOPE_H
#define WEIR_CLI_ENVELOPE_H

#include "cli/output.h"
#include "spool/reader.h"

/* One line, without the newline. `reader` has the payload when it is a large one. Errors: those of
 * reading it. */
int envelope_write(struct output *output, struct reader *reader, const struct record *record);

#endif
