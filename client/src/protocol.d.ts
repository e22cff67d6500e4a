/** What the codes of the wire protocol are called; see docs/wire-protocol.md. */
export declare const Code: {
    readonly Identify: 230;
    readonly IdentityWanted: 231;
    readonly Send: 234;
    readonly Stored: 235;
    readonly News: 236;
    readonly Acknowledge: 237;
    readonly Identified: 240;
    readonly Fault: 300;
};

/** Every frame but the heartbeat. */
export interface Frame<Data = any> {
    code: number;
    msg: string;
    data: Data;
}
