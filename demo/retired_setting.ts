/** A setting that the demo's old agent ignores and its new agent refuses to start with. */
export const RETIRED_SETTING = "ONGRID_DEMO_OLD_SETTING";
