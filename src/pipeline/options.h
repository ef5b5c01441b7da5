/* Defaults and checks of the options of a capture. */
#ifndef WEIR_PIPELINE_OPTIONS_H
#define WEIR_PIPELINE_OPTIONS_H

#include "pipeline/fault.h"

/* Copies options with all defaults filled in. When one cannot be right, that is noted as a fault
 * with WEIR_USAGE. */
struct weir_capture_options options_complete(const struct weir_capture_options *options,
					     struct fault *fault);

#endif
