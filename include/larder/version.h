/* version: what `larder version`, the User-Agent and the OpenAPI document say. */
#ifndef LARDER_VERSION_H
#define LARDER_VERSION_H

#define LARDER_VERSION "0.1.0"

#endif
