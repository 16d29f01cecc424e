/** Units as the shell tooling installs them; each calls the hook by the name of the guard. */

const AGENT = `EnvironmentFile=/etc/ongrid-edge/ongrid-edge.env
ExecStart=/usr/local/bin/ongrid-edge
Restart=always
RestartSec=1
NoNewPrivileges=true
ProtectSystem=strict
PrivateTmp=true
StateDirectory=ongrid-edge
StateDirectoryMode=0755
[Install]
WantedBy=multi-user.target
`;

/** Runs the hook itself, as root before an unprivileged agent. */
export const SHELL_UNIT = `[Unit]
Description=edge agent of the shell tooling
[Service]
Type=simple
User=ongrid-edge
ExecStartPre=-+/usr/local/lib/ongrid-edge/apply-pending-upgrade.sh
${AGENT}`;

/** Has a unit of root's run it, for a systemd that does not know `+`. */
export const ONESHOT_UNIT = `[Unit]
Description=edge agent of newer shell tooling
Wants=ongrid-edge-upgrade.service
After=ongrid-edge-upgrade.service
[Service]
Type=simple
User=ongrid-edge
${AGENT}`;

/** The unit that {@linkcode ONESHOT_UNIT} pulls in at each start. */
export const ONESHOT = `[Unit]
Description=edge upgrade of newer shell tooling
ConditionFileIsExecutable=/usr/local/lib/ongrid-edge/apply-pending-upgrade.sh
Before=ongrid-edge.service
[Service]
Type=oneshot
ExecStart=/usr/local/lib/ongrid-edge/apply-pending-upgrade.sh
`;
